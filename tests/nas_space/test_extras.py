"""What a plain install lacks is named by its extra."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nas_space import extras
from nas_space.extras import MissingExtraError
from studies import dashboard
from studies.export import command as export
from tests.refusals import called, refusal, search

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)


def test_the_extras_are_those_of_the_project() -> None:
    (every,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", every)) - {"convnas"} == EXTRAS.keys() - {"all"}
    for name in EXTRAS.keys() - {"all"}:
        extras.check(name, "nothing")
        needed = {re.split(r"[>\[]", text)[0].replace("-", "_") for text in EXTRAS[name]}
        assert needed == set(extras._MODULES[name])


def test_a_command_names_the_extra_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "onnxruntime")
    without(monkeypatch, "optuna_dashboard")
    line = refusal(called(export.main, "--knee", "--output", "o"), capsys)
    assert line.startswith(
        "error: an export needs onnx and onnxruntime and onnxscript: pip install"
    )
    assert "'convnas[onnx]'" in line
    assert "'convnas[dashboard]'" in refusal(called(dashboard.main), capsys)
    timed = search("--latency-command", "python -m measure {model}")
    assert "--latency-command needs onnx" in refusal(timed, capsys)


def test_the_python_interface_needs_pandas() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['pandas'] = None; import searchers.notebook",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs pandas: pip install 'convnas[notebook]'" in done.stderr.splitlines()[-1]


def test_a_database_names_the_extra_of_its_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "psycopg")
    line = refusal(search("--storage", "postgresql://me@127.0.0.1/x"), capsys)
    assert "'convnas[postgresql]'" in line
    with pytest.raises(MissingExtraError):
        extras.check("postgresql", "it")
