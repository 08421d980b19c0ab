"""A damaged page of an SQLite file costs the rows on it; `studies.rescue` saves the rest."""

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from nas_space.cli import run
from studies import dashboard, finalists, rescue, scores, show
from studies import list as listing
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.report import command as report
from tests.examples import evaluation, study
from tests.refusals import called, refusal

DATABASE, RESCUED = Path("convnas.db"), Path("convnas-rescued.db")
PAGE = 4096
READERS = {
    "list": called(listing.main),
    "pareto": called(pareto.main),
    "report": called(report.main),
    "show": called(show.main, "0"),
    "export": called(export.main, "--knee", "--output", "o"),
    "finalists": called(finalists.main),
    "scores": called(scores.main),
    "dashboard": called(dashboard.main),
}
COUNT = 40


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of some pages: the evaluations are a tree of leaves."""
    path = tmp_path_factory.mktemp("sound") / "convnas.db"
    with closing(Store(f"sqlite:///{path}", create=True)) as store:
        owner = store.enter(study())
        for number in range(COUNT):
            weights = bytes([number]) * 10_000
            row = evaluation(owner, number, 0.5 + number / 100)
            store.record(row, partial(bytes, weights))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return path


@pytest.fixture(autouse=True)
def _here(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATABASE.write_bytes(sound.read_bytes())


def root_of(table: str) -> int:
    """Where the page is that leads to a table's others."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = connection.execute(query, (table,)).fetchone()
    return int(root)


def leaves_of(table: str) -> Iterator[int]:
    """Where the pages are that hold rows of a table, by the children that its root names."""
    data, root = DATABASE.read_bytes(), root_of(table)
    page = data[(root - 1) * PAGE : root * PAGE]
    assert page[0] == 5, "an inner page of a table"
    for cell in range(int.from_bytes(page[3:5], "big")):
        at = int.from_bytes(page[12 + 2 * cell : 14 + 2 * cell], "big")
        yield int.from_bytes(page[at : at + 4], "big")
    yield int.from_bytes(page[8:12], "big")


def damage(page: int) -> bytes:
    """Overwrite a page, as a disk does that has lost it; what the file is now."""
    data = bytearray(DATABASE.read_bytes())
    data[(page - 1) * PAGE : page * PAGE] = random.Random(page).randbytes(PAGE)
    DATABASE.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_page_is_one_line_that_says_how_to_save_the_rest(
    reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(list(leaves_of("nas_evaluations"))[1])
    said = refusal(READERS[reader], capsys)
    assert "malformed; save what can be read: " in said
    assert "python -m studies.rescue --storage sqlite:///convnas.db" in said


def test_a_search_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    damage(list(leaves_of("nas_evaluations"))[1])

    def enter() -> int:
        with closing(Store("sqlite:///convnas.db", create=True)) as store:
            store.evaluations(store.enter(study()))
        return 0

    assert "python -m studies.rescue" in refusal(lambda: run(enter), capsys)


@pytest.mark.parametrize("which", range(3))
def test_every_row_on_other_pages_is_saved_with_its_number_and_the_file_is_left_alone(
    which: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Store("sqlite:///convnas.db")) as store:
        before = {row.number: row for row in store.evaluations(store.study(None))}
        weights = {number: store.weights(row) for number, row in before.items()}
    left = damage(list(leaves_of("nas_evaluations"))[which])
    assert called(rescue.main)() == 0
    said = capsys.readouterr().out
    found = re.search(r"^evaluations: (\d+) of (\d+)$", said, re.MULTILINE)
    assert found is not None, said
    saved, total = map(int, found.groups())
    assert total == COUNT
    assert COUNT - 12 < saved < COUNT, "a page holds a few rows"
    assert "go on with the same command and --storage sqlite:///convnas-rescued.db" in said
    assert DATABASE.read_bytes() == left
    with closing(Store("sqlite:///convnas-rescued.db")) as store:
        after = store.evaluations(store.study("s"))
        assert len(after) == saved
        for row in after:
            was = before[row.number]
            assert (row.key, row.val_accuracy, row.created_at) == (
                was.key,
                was.val_accuracy,
                was.created_at,
            )
            assert store.weights(row) == weights[row.number]
    assert called(pareto.main, "--storage", "sqlite:///convnas-rescued.db")() == 0


@pytest.mark.parametrize("indexes", [True, False], ids=["indexes", "no index"])
def test_rows_whose_root_page_is_damaged_are_found_on_their_leaves(
    indexes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        long = "UPDATE nas_evaluations SET error = ?, latency = 2 WHERE number = 5"
        connection.execute(long, ("über " * 3000,))  # stands on pages that its leaf leads to
        connection.commit()
        before = connection.execute("SELECT * FROM nas_evaluations").fetchall()
        weights = connection.execute("SELECT * FROM nas_weights").fetchall()
        names = [row[1] for row in connection.execute("PRAGMA index_list(nas_evaluations)")]
    left = b""
    for name in ["nas_evaluations", *([] if indexes else names)]:
        left = damage(root_of(name))
    assert called(rescue.main)() == 0
    assert f"evaluations: {COUNT} of {COUNT}\n" in capsys.readouterr().out
    with closing(sqlite3.connect(RESCUED)) as connection:
        assert connection.execute("SELECT * FROM nas_evaluations").fetchall() == before
        assert connection.execute("SELECT * FROM nas_weights").fetchall() == weights
    assert DATABASE.read_bytes() == left
    assert {path.name for path in Path.cwd().iterdir()} == {DATABASE.name, RESCUED.name}
    assert called(pareto.main, "--storage", "sqlite:///convnas-rescued.db")() == 0


def test_rows_in_the_write_ahead_log_are_found_too(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("UPDATE nas_evaluations SET val_accuracy = 0.25 WHERE number = 7")
        connection.commit()
        damage(root_of("nas_evaluations"))
        assert called(rescue.main)() == 0
    assert f"evaluations: {COUNT} of {COUNT}\n" in capsys.readouterr().out
    with closing(Store("sqlite:///convnas-rescued.db")) as store:
        assert store.evaluations(store.study(None))[7].val_accuracy == 0.25


@pytest.mark.parametrize("table", ["nas_studies", "nas_evaluations"])
def test_if_no_study_or_no_evaluation_can_be_read_a_line_says_what_to_do(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    leaves = list(leaves_of(table)) if table == "nas_evaluations" else []
    for page in [root_of(table), *leaves]:
        damage(page)
    said = refusal(called(rescue.main), capsys)
    assert "no study or no evaluation of convnas.db can be read: take a copy" in said
    assert "sqlite3 convnas.db .recover" in said
    assert [path.name for path in Path.cwd().iterdir()] == [DATABASE.name]


def test_damaged_weights_cost_no_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    damage(next(leaves_of("nas_weights")))
    assert called(rescue.main)() == 0
    said = capsys.readouterr().out
    assert f"evaluations: {COUNT} of {COUNT}" in said
    assert re.search(r"networks' weights: \d+ of at most \d+", said)


def test_a_row_whose_text_is_damaged_is_left_out_with_what_refers_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("UPDATE nas_evaluations SET architecture = '{' WHERE number = 39")
        connection.execute("UPDATE nas_evaluations SET val_accuracy = 'x' WHERE number = 3")
        connection.commit()
    assert called(rescue.main)() == 0
    assert f"evaluations: {COUNT - 2} of {COUNT}" in capsys.readouterr().out
    with closing(Store("sqlite:///convnas-rescued.db")) as store:
        numbers = [row.number for row in store.evaluations(store.study(None))]
    assert numbers == [n for n in range(COUNT) if n not in {3, 39}]
    with closing(sqlite3.connect(RESCUED)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_results_that_wait_in_files_are_recorded_too(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Store("sqlite:///convnas.db")) as store:
        owner = store.study(None)
        pending = PendingResults.of(store.database.url, owner.name)
        pending.put(evaluation(owner, COUNT, 0.99), b"late")
    damage(next(leaves_of("nas_evaluations")))
    assert called(rescue.main)() == 0
    assert "1 results that waited in files" in capsys.readouterr().out
    with closing(Store("sqlite:///convnas-rescued.db")) as store:
        last = store.evaluations(store.study(None))[-1]
        assert (last.number, store.weights(last)) == (COUNT, b"late")
    assert not pending.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--storage", "sqlite:///nowhere.db"], "no database at nowhere.db"),
        (["--output", "convnas.db"], "convnas.db is there already"),
        (["--storage", "postgresql+psycopg://host/x"], "only an SQLite file can be rescued"),
    ],
)
def test_what_cannot_be_rescued_is_one_line(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(called(rescue.main, *arguments), capsys)


@pytest.mark.parametrize("text", [b"", b"not a database " * 999, b"SQLite format 3\0"])
def test_of_a_file_that_is_no_database_nothing_is_left(
    text: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    DATABASE.write_bytes(text)
    refusal(called(rescue.main), capsys)
    assert [path.name for path in Path.cwd().iterdir()] == ["convnas.db"]
