"""An SQLite file that is deleted or replaced while it is in use: noticed, and nothing is lost."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nas_space.spaces.registry import get
from studies.records.database import LostFileError
from studies.records.optuna_mirror import OptunaMirror
from studies.records.pending_results import PendingResults
from studies.records.rescue import rescue
from studies.records.store import Store
from tests.examples import evaluation, study

DATABASE = Path("study.db")
URL = f"sqlite:///{DATABASE}"


def delete() -> None:
    for part in Path.cwd().glob("study.db*"):
        part.unlink()


def move_away() -> None:
    DATABASE.rename("elsewhere.db")


def put_back() -> None:
    """An older copy, with the log of the newer file beside it."""
    Path("older.db").rename(DATABASE)


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of two studies with three results and one; an older copy holds the first two."""
    monkeypatch.chdir(tmp_path)
    with closing(Store(URL, create=True)) as store:
        first, second = store.enter(study("first")), store.enter(study("second"))
        store.record(evaluation(first, 7, 0.5), lambda: b"weights")
        store.record(evaluation(first, 3, None))
        with (
            closing(sqlite3.connect(DATABASE)) as source,
            closing(sqlite3.connect("older.db")) as to,
        ):
            source.backup(to)
        store.record(evaluation(first, 5, 0.9, macs=10**6), lambda: b"better")
        store.record(evaluation(second, 1, 0.25))
        yield store


def held(store: Store, name: str) -> list[tuple[object, ...]]:
    """What a store holds of a study."""
    return [
        (row.number, row.key, row.val_accuracy, row.error, store.weights(row))
        for row in store.evaluations(store.study(name))
    ]


HARMS = {
    delete: "was deleted or moved away while it was in use",
    move_away: "was deleted or moved away while it was in use",
    put_back: "was replaced by another file while it was in use",
}


@pytest.mark.parametrize("harm", HARMS)
def test_who_uses_a_lost_file_is_told_and_writes_nothing(
    used: Store, harm: Callable[[], None]
) -> None:
    owner = used.study("first")
    harm()
    before = DATABASE.read_bytes() if DATABASE.exists() else None
    for use in (
        used.database.check_file,
        used.studies,
        lambda: used.record(evaluation(owner, 9, 0.5)),
    ):
        with pytest.raises(LostFileError) as caught:
            use()
        assert str(caught.value) == f"{URL} {HARMS[harm]}"
    assert (DATABASE.read_bytes() if DATABASE.exists() else None) == before


@pytest.mark.parametrize("harm", HARMS)
def test_all_it_held_comes_back_in_its_order(used: Store, harm: Callable[[], None]) -> None:
    names = ("first", "second")
    kept = {
        name: [
            (row.number, row.key, row.val_accuracy, row.error, used.weights(row)) for row in rows
        ]
        for name in names
        for rows in [used.evaluations(used.study(name))]
    }
    assert [len(rows) for rows in kept.values()] == [3, 1]
    harm()
    assert rescue(used.database).kept == {"first": 3, "second": 1}
    assert rescue(used.database).kept == {"first": 3, "second": 1}, "twice does no harm"
    used.close()
    with closing(Store(URL, create=True)) as again:
        with closing(sqlite3.connect(DATABASE)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for name in names:
            owner = again.enter(study(name))
            there = len(again.evaluations(owner))
            pending = PendingResults.of(again.database.url, name)
            assert pending.deliver(owner.id, again.record) == len(kept[name]) - there
            assert held(again, name) == kept[name]
    assert not list(Path.cwd().glob("convnas-unrecorded-*"))


def test_a_copy_that_is_put_back_when_all_is_written_stays_as_it_was(used: Store) -> None:
    # Somebody else reads, so that closing does not empty the log.
    with closing(sqlite3.connect(DATABASE)) as reader:
        reader.execute("SELECT count(*) FROM nas_evaluations").fetchone()
        used.database.empty_log()
        put_back()
        used.close()
    with closing(sqlite3.connect(DATABASE)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("SELECT count(*) FROM nas_evaluations").fetchone() == (2,)


def test_a_clock_that_was_set_back_changes_no_number(used: Store) -> None:
    owner = used.study("first")
    late = evaluation(owner, 8, 0.5, created_at=datetime(2001, 1, 1, tzinfo=UTC))
    used.record(late)
    kept = held(used, "first")
    delete()
    rescue(used.database)
    used.close()
    with closing(Store(URL, create=True)) as again:
        owner = again.enter(study("first"))
        PendingResults.of(again.database.url, "first").deliver(owner.id, again.record)
        assert held(again, "first") == kept


def test_what_no_folder_takes_is_given_as_text(
    used: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete()
    PendingResults.of(used.database.url, "first").folder.write_text("in the way")
    monkeypatch.setenv("HOME", "/dev/null")
    found = rescue(used.database)
    assert found.kept == {"second": 1}
    assert [json.loads(text)["val_accuracy"] for text in found.unkept] == [0.5, None, 0.9]
    assert "no file can be written" in found.reason


def test_optunas_view_writes_nothing_into_a_copy_that_was_put_back(used: Store) -> None:
    owner = used.study("first")
    rows = used.evaluations(owner)
    with closing(OptunaMirror(URL, owner, get("mixed").catalogue())) as mirror:
        mirror.add(rows[0])
        assert len(mirror.study.get_trials()) == 1
        put_back()
        rescue(used.database)
        mirror.add(rows[1])
        assert mirror.trouble == f"{URL} was replaced by another file while it was in use"
    used.close()
    assert not Path("study.db-wal").exists() or not Path("study.db-wal").stat().st_size
