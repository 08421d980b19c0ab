"""A database that does not answer is waited for, and not in silence."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from studies.records.connection import waiting as module
from studies.records.connection.waiting import Waiting
from studies.records.database import SQLITE_BUSY_SECONDS
from studies.records.store import Store
from tests.examples import evaluation, study


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Store, list[str], sqlite3.Connection]]:
    """A store, what it says, and a stranger who holds the file locked."""
    said: list[str] = []
    with (
        closing(Store(f"sqlite:///{tmp_path / 'x.db'}", create=True, on_wait=said.append)) as store,
        closing(
            sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
        ) as stranger,
    ):
        store.enter(study())
        stranger.execute("BEGIN IMMEDIATE")
        yield store, said, stranger


def test_a_locked_file_is_spoken_of_once_and_before_the_first_attempt_is_over(
    locked: tuple[Store, list[str], sqlite3.Connection],
) -> None:
    store, said, stranger = locked
    owner = store.study(None)
    said.clear()

    def release() -> None:
        latest = time.monotonic() + 0.8 * SQLITE_BUSY_SECONDS  # one attempt waits for longer
        while not said and time.monotonic() < latest:
            time.sleep(0.05)
        heard.extend(said)
        stranger.execute("ROLLBACK")

    heard: list[str] = []
    other = threading.Thread(target=release)
    other.start()
    assert store.record(evaluation(owner, 0, 0.5), patience=600)
    other.join()
    assert heard == said == ["no answer yet: another program may have locked it"]


def test_what_answers_soon_is_not_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 100.0)
    said: list[str] = []
    url = f"sqlite:///{tmp_path / 'x.db'}"
    with closing(Store(url, create=True, on_wait=said.append)) as store:
        store.enter(study())
    assert said == []


def test_of_several_that_wait_one_speaks_until_the_database_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.02)
    said: list[str] = []
    waiting = Waiting(said.append)
    with waiting.told() as because, waiting.told():
        because("the disk is full")
        while not said:
            time.sleep(0.01)
        time.sleep(0.1)
    assert len(said) == 1
    with waiting.told() as because:
        because("it is away")
        while len(said) < 2:
            time.sleep(0.01)
    assert said[1] == "it is away"
