"""Which database a command takes that is told none."""

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from searchers.notebook import load
from searchers.settings import Settings
from searchers.terminal.arguments import read
from studies import dashboard, finalists, scores, show
from studies import list as listing
from studies.cli import typed
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.store import Store
from studies.report import command as report
from tests.examples import study

ELSEWHERE = "sqlite:///elsewhere.db"
ON_A_SERVER = "postgresql+psycopg://nas:geheim@host/database"
COMMANDS: dict[str, Callable[[], object]] = {
    "list": listing.main,
    "pareto": pareto.main,
    "finalists": finalists.main,
    "export": export.main,
    "show": show.main,
    "dashboard": dashboard.main,
    "report": report.main,
    "scores": scores.main,
    "search": lambda: read(sys.argv[1:]),
}


@pytest.fixture(autouse=True)
def _with_a_study_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Store(ELSEWHERE, create=True)) as store:
        store.enter(study("there"))


def test_the_environment_names_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONVNAS_STORAGE", ELSEWHERE)
    monkeypatch.setattr(sys, "argv", ["list"])
    assert listing.main() == 0
    assert "there" in capsys.readouterr().out
    search = ["--space", "mixed", "--budget", "2"]
    assert read(search).storage == ELSEWHERE
    assert "elsewhere" not in read(search).command
    assert Settings(space="mixed", budget=2).storage == ELSEWHERE
    assert load().study == "there"
    assert "--storage" not in typed("pareto", "there", ELSEWHERE)


def test_an_argument_counts_more_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVNAS_STORAGE", "sqlite:///nowhere.db")
    monkeypatch.setattr(sys, "argv", ["list", "--storage", ELSEWHERE])
    assert listing.main() == 0
    assert load(storage=ELSEWHERE).study == "there"
    assert typed("list", "there", ELSEWHERE).endswith(f"--storage {ELSEWHERE}")


@pytest.mark.parametrize("variable", [None, ""], ids=["absent", "empty"])
def test_without_either_it_is_a_file_here(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONVNAS_STORAGE", raising=False)
    if variable is not None:
        monkeypatch.setenv("CONVNAS_STORAGE", variable)
    assert read(["--space", "mixed", "--budget", "2"]).storage == "sqlite:///convnas.db"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_variable_but_not_its_value(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONVNAS_STORAGE", ON_A_SERVER)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit):
        COMMANDS[name]()
    said = capsys.readouterr().out
    assert "$CONVNAS_STORAGE" in said
    assert "geheim" not in said
    assert typed("pareto", "s", "postgresql+psycopg://nas:***@host/database").endswith("--study s")
