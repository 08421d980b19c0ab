"""One program, in a folder of the user's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from nas_space import programs
from nas_space.programs import COMMANDS, program, spoken
from searchers.program import main

CONVNAS = Path(sys.executable).with_name("convnas")
MINE = """\
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )
"""


def test_a_command_is_spelt_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    for started, spelt in (
        ("/usr/bin/convnas", "convnas export"),
        ("/usr/bin/convnas-search", "convnas-export"),
        ("/lib/searchers/run.py", "python -m studies.export"),
        ("", "python -m studies.export"),
    ):
        monkeypatch.setattr("sys.argv", [started])
        assert program("studies.export") == spelt
        assert spoken("studies.export", ["--output", "a b"]) == f"{spelt} --output 'a b'"
    monkeypatch.setattr("sys.argv", [])
    assert program("trainers.run") == "python -m trainers.run"


def test_every_command_is_a_script_of_the_install() -> None:
    for command in COMMANDS:
        assert CONVNAS.with_name(f"{programs.NAME}-{command.name}").exists()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_command(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["convnas", *words])
    assert main() == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command.name}" in shown for command in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80


def test_an_unknown_command_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["convnas", "serach"])
    assert main() == 2
    told = capsys.readouterr().err
    assert told.startswith("error: unknown command serach; known commands: search, ")
    assert told.count("\n") == 1


@pytest.mark.slow
def test_a_search_finds_the_users_function_and_not_the_users_folders(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    for name in ("trainers", "studies", "searchers", "nas_space"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not convnas')\n")
    words = "search --space backbone:mine:net --budget 2 --epochs 1 --dataset digits"
    for command in (words, "list", "pareto", "report --output page.html"):
        done = subprocess.run(
            [CONVNAS, *command.split()],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if command == words:
            assert "convnas export --study" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "search",
        "report",
        "export",
        "finalists",
        "dashboard",
        "predict",
        "train",
        "spaces",
        "scores",
        "networks",
        "convert",
    ],
)
def test_help_comes_at_once(name: str) -> None:
    (command,) = (command for command in COMMANDS if command.name == name)
    imports = f"import sys; sys.argv = ['convnas', '--help']; import {command.entry} as c; c.main()"
    code = f"""
try:
    {imports}
except SystemExit:
    print(sorted({{'torch', 'sqlalchemy', 'scipy', 'ray'}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *shown, loaded = done.stdout.splitlines()
    assert shown[0].startswith(f"usage: convnas {name}")
    assert loaded == "[]"
