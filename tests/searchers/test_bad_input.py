"""Bad input of every option: one clear line on standard error, exit code 2, nothing written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from searchers.command import command
from searchers.question import ask
from searchers.search import describe
from searchers.settings import Settings
from studies import export, pareto
from studies import list as listing
from studies.store import Store
from tests.examples import evaluation, study

SEARCH = ["--space", "mixed", "--budget", "2"]


def search(*arguments: str) -> Callable[[], int]:
    return lambda: command([*SEARCH, *arguments])


def refusal(run: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refused command prints."""
    try:
        code = run()
    except SystemExit as stopped:
        code = int(str(stopped.code))
    printed = capsys.readouterr()
    assert code == 2, printed
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1, printed.err
    assert "Traceback" not in printed.err
    return printed.err


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--space", "mix"], "unknown space 'mix'; known spaces: mixed"),
        (["--space", ""], "unknown space ''"),
        (["--budget", "0"], "'0' is no whole number above 0"),
        (["--budget", "-1"], "'-1' is no whole number above 0"),
        (["--budget", "abc"], "'abc' is no whole number above 0"),
        (["--budget", "1.5"], "'1.5' is no whole number"),
        (["--budget", "1e3"], "'1e3' is no whole number"),
        (["--budget", "99999999999999999999"], "is no whole number above 0"),
        (["--budget", ""], "'' is no whole number"),
        (["--budget"], "expected one argument"),
        (["--sampler", "cmaes"], "unknown sampler 'cmaes'; known samplers: tpe"),
        (["--recipe", "slow"], "unknown recipe 'slow'; known recipes: quick, full"),
        (["--epochs", "0"], "'0' is no whole number above 0"),
        (["--seed", "-1"], "'-1' is no whole number from 0"),
        (["--seed", "x"], "'x' is no whole number from 0"),
        (["--seed", "99999999999"], "is no whole number from 0"),
        (["--dataset", "mnist"], "no data set 'mnist': give digits"),
        (["--dataset", ""], "no data set ''"),
        (["--dataset", "/no/such/folder"], "no data set '/no/such/folder'"),
        (["--dataset", "."], "no images in"),
        (["--image-size", "0"], "'0' is no whole number above 0"),
        (["--image-size", "32"], "digits has a fixed size"),
        (["--subset", "none"], "'none' is no whole number"),
        (["--subset", "3"], "too few images"),
        (["--max-macs", "0"], "'0' is no positive number"),
        (["--max-macs", "-5M"], "expected one argument"),
        (["--max-macs", "5X"], "'5X' is no positive number like 500k"),
        (["--max-macs", "nan"], "'nan' is no positive number"),
        (["--max-macs", "1k"], "--max-macs 1000 cannot be kept: the smallest network"),
        (["--max-params", "10"], "--max-params 10 cannot be kept"),
        (["--storage", ""], "--storage must be an SQLAlchemy URL"),
        (["--storage", "convnas.db"], "--storage must be an SQLAlchemy URL"),
        (["--storage", "sqlite://"], "would be lost"),
        (["--storage", "oracle9://x/y"], "no driver for oracle9://x/y"),
        (["--storage", "sqlite:////proc/nowhere/x.db"], "cannot use the database"),
        (["--storage", "sqlite:////dev/null/x.db"], "cannot use the database"),
        (["--storage", "postgresql+psycopg://u:secret@127.0.0.1:9/x"], "cannot use the database"),
        (["--study", ""], "a study's name has 1 to 200"),
        (["--study", "x" * 201], "a study's name has 1 to 200"),
        (["--study", "a\nb"], "a study's name has 1 to 200 printable"),
        (["--concurrency", "0"], "'0' is no whole number above 0"),
        (["--cpus-per-trial", "many"], "'many' is no number of CPUs or GPUs"),
        (["--cpus-per-trial", "nan"], "'nan' is no number of CPUs or GPUs"),
        (["--gpus-per-trial", "-1"], "'-1' is no number of CPUs or GPUs"),
        (["--address", "nonsense"], "--address must be HOST:PORT, not 'nonsense'"),
        (["--address", "127.0.0.1:99999"], "--address must be HOST:PORT"),
        (["--address", "127.0.0.1:9"], "no Ray cluster at 127.0.0.1:9: Connection refused"),
        (["--address", "ray://127.0.0.1:10001"], "--address must be HOST:PORT"),
        (["--dataset", "x" * 300], "File name too long"),
        (["--cpus-per-trial", "1000"], "a trial wants 1000 CPUs but there are"),
        (["--cpus-per-trial", "0.00001"], "shares are at least 0.001"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_the_search_refuses(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = refusal(search(*arguments), capsys)
    assert reason in said
    assert "secret" not in said
    assert list((tmp_path / "here").iterdir()) == [], "nothing was written"


def test_the_search_needs_a_space_and_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required: --space, --budget" in refusal(lambda: command([]), capsys)


def test_a_corrupt_image_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "photos" / label / f"{i}.png")
    for path in (tmp_path / "photos" / "dog").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    said = refusal(search("--dataset", str(tmp_path / "photos")), capsys)
    assert "cannot decode the image" in said
    assert "dog" in said


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("space", {"name": "igc"}, "another space (name: 'igc', now 'mixed')"),
        ("dataset", {"fingerprint": "0"}, "another data set (fingerprint: '0', now"),
        ("recipe", {"epochs": 9}, "another recipe (epochs: 9, now 6)"),
    ],
)
def test_a_study_of_another_question_is_refused(
    part: str, changes: dict[str, object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Store what this very search would store, but for one part.
    settings = Settings(space="mixed", budget=2, study="mine")
    other = describe(settings, ask(settings))
    setattr(other, part, getattr(other, part) | changes)
    store = Store(settings.storage, create=True)
    store.enter(other)
    store.close()
    said = refusal(search("--study", "mine"), capsys)
    assert f"study 'mine' has {reason}" in said
    assert "another --study name" in said


def test_a_file_that_is_no_database_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.db").write_text("not a database " * 100)
    for run in (search("--storage", "sqlite:///notes.db"), studies_command(listing.main, [])):
        Path("convnas.db").write_text("not a database " * 100)
        assert "not a database" in refusal(run, capsys)


def studies_command(main: Callable[[], int], arguments: list[str]) -> Callable[[], int]:
    def run() -> int:
        before, sys.argv = sys.argv, ["command", *arguments]
        try:
            return main()
        finally:
            sys.argv = before

    return run


@pytest.fixture
def _stored_study() -> None:
    store = Store("sqlite:///convnas.db", create=True)
    owner = store.enter(study("one"))
    store.record(evaluation(owner, 0, 0.9), lambda: b"weights")
    store.record(evaluation(owner, 1, None))
    store.close()


@pytest.mark.usefixtures("_stored_study")
@pytest.mark.parametrize(
    ("main", "arguments", "reason"),
    [
        (pareto.main, ["--study", "two"], "no study 'two' in sqlite:///convnas.db; it holds: one"),
        (pareto.main, ["--json", "--csv"], "not allowed with argument"),
        (pareto.main, ["--storage", "x"], "must be an SQLAlchemy URL"),
        (pareto.main, ["--storage", "sqlite:///none.db"], "no database at none.db"),
        (pareto.main, ["extra"], "unrecognized arguments: extra"),
        (listing.main, ["--storage", "sqlite:///none.db"], "no database at none.db"),
        (export.main, [], "which one? say --knee"),
        (export.main, ["--output", "."], "which one? say --knee"),
        (export.main, ["--output", ".", "--knee"], "exists already"),
        (export.main, ["--output", "o", "--trial", "7"], "no trial 7; the study has 0 to 1"),
        (export.main, ["--output", "o", "--trial", "1"], "trial 1 failed: RuntimeError"),
        (export.main, ["--output", "o", "--trial", "x"], "'x' is no trial number"),
        (export.main, ["--output", "o", "--max-macs", "1k"], "smallest network of the front has"),
        (export.main, ["--output", "o", "--max-macs", "x"], "'x' is no positive number"),
        (export.main, ["--output", "o", "--min-accuracy", "2"], "'2' is no accuracy like 0.95"),
        (export.main, ["--output", "o", "--min-accuracy", "95%"], "the best of the front has 90"),
        (export.main, ["--output", "o", "--knee"], "is not what study one was searched on"),
        (export.main, ["--output", "o", "--knee", "--dataset", "/no"], "no data set '/no'"),
        (export.main, ["--output", "o", "--recipe", "slow", "--retrain"], "unknown recipe 'slow'"),
        (export.main, ["--output", "o", "--knee", "--epochs", "5"], "add --retrain"),
        (export.main, ["--output", "o", "--knee", "--trial", "0"], "leave the other rules out"),
        (export.main, ["--output", "x" * 300, "--knee"], "cannot write xxx"),
        (export.main, ["--output", "convnas.db/o", "--knee"], "cannot write convnas.db/o"),
    ],
    ids=str,
)
def test_the_studies_commands_refuse(
    main: Callable[[], int],
    arguments: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reason in refusal(studies_command(main, arguments), capsys)
    assert not Path("o").exists()
    assert not Path("none.db").exists()
