"""Parts from outside of the repository: where they come from, and what is said if they do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_space import plugins
from nas_space.cli import Parser
from nas_space.convs import TYPES
from tests.docs.pages import DOCS, files

ROOT = Path(__file__).parents[2]
PLUGINS = files(DOCS / "extending.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of docs/extending.md."""
    for name, text in PLUGINS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """A command in a folder: its exit code, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", PLUGINS)
def test_a_part_takes_forty_lines_at_most(name: str) -> None:
    assert len(PLUGINS[name].splitlines()) <= 40


def test_a_type_and_a_space_come_by_option(folder: Path) -> None:
    code, out, err = run(folder, "nas_space.spaces", "--plugin", "my_type", "--plugin=my_nets")
    assert code == 0, err
    rows = {row.split()[0]: row for row in out.splitlines()}
    assert "dilated" in rows["mixed"]
    assert "dilated" in rows
    assert rows["plain"].split()[1:] == ["3", "2.40e+01"]


def test_and_by_the_environment(folder: Path) -> None:
    code, out, err = run(folder, "nas_space.spaces", CONVNAS_PLUGINS="my_nets, my_type")
    assert code == 0, err
    assert "dilated" in out
    assert "plain" in out


def installed(folder: Path, module: str) -> None:
    """What an installer leaves of a package that names a plugin."""
    metadata = folder / "mine-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[convnas.plugins]\nany = {module}\n")


def test_and_with_an_installed_package(folder: Path) -> None:
    installed(folder, "my_type")
    code, out, err = run(folder, "nas_space.spaces")
    assert code == 0, err
    assert "dilated" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "cannot be imported (ZeroDivisionError: division by zero): fix it, or leave out"),
        ("import nothing_there", "(ModuleNotFoundError: No module named 'nothing_there')"),
        ("raise SystemExit('no')", "cannot be imported (SystemExit: no)"),
        (
            "from nas_space.convs import TYPES\nTYPES.add('igc', TYPES.get('octave'))",
            "convolution type 'igc' is registered twice, by nas_space.convs.igc and by",
        ),
    ],
)
def test_a_plugin_that_fails_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    code, _, err = run(tmp_path, "nas_space.spaces", "--plugin", "broken")
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("name", ["", "my_type.py", "x/y.py", "a..b", "my type", "colorsys,"])
def test_what_is_no_name_of_a_module_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(plugins.VARIABLE, "")  # the first of two names is taken
    with pytest.raises(plugins.PluginError, match="is no name of a module: the file"):
        Parser().parse_args(["--plugin", name])


def test_a_shortened_option_loads_it_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(plugins.VARIABLE, "")
    (folder / "one.py").write_text("")
    (folder / "two.py").write_text("")
    Parser().parse_args(["--plug", "one, two"])
    assert plugins.named() == ["one", "two"]


def test_an_installed_one_that_fails_names_its_package(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    installed(tmp_path, "broken")
    code, _, err = run(tmp_path, "nas_space.spaces")
    assert code == 2
    assert "the plugin broken cannot be imported" in err
    assert err.endswith("fix or uninstall the package mine\n")


def test_one_that_is_used_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")
    (tmp_path / "adds_nothing.py").write_text("")
    plugins.use("adds_nothing")
    plugins.use("adds_nothing")
    assert os.environ[plugins.VARIABLE] == "adds_nothing"


def test_names_of_types_stay_those_of_the_package() -> None:
    assert {TYPES.source(name).partition(".")[0] for name in TYPES} == {"nas_space"}
