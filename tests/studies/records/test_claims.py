"""What one search has taken on of a study: shared, inherited, never trained twice."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import update

from studies.records import claims as module
from studies.records.claims import Claims, Inheritance, Verdict, Watch
from studies.records.processes import Process
from studies.records.store import Store
from studies.records.tables import Driver, Study
from tests.examples import architecture, evaluation, study

Open = Callable[[], Claims]
EPOCHS = 6


def left(number: int, losses: int = 0, start: int = 0) -> Inheritance:
    return Inheritance(architecture(number), EPOCHS, start, losses)


@pytest.fixture
def owner(store: Store) -> Study:
    return store.enter(study())


@pytest.fixture
def claims(store: Store, owner: Study) -> Iterator[Open]:
    """Opens ledgers, of searches that all live in this process."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(Claims(store, owner))


def test_an_architecture_is_claimed_once(claims: Open) -> None:
    first, second = claims(), claims()
    assert first.claim(architecture(1), EPOCHS, room=9 * EPOCHS) is Verdict.MINE
    assert second.claim(architecture(1), EPOCHS, room=9 * EPOCHS) is Verdict.TAKEN
    assert second.claim(architecture(2), EPOCHS, room=9 * EPOCHS) is Verdict.MINE
    assert second.claim(architecture(1), EPOCHS + 1, room=9 * EPOCHS) is Verdict.MINE, (
        "another fidelity"
    )


def test_an_architecture_that_was_trained_is_not_claimed_again(claims: Open, owner: Study) -> None:
    first, second = claims(), claims()
    first.claim(architecture(1), EPOCHS, room=9 * EPOCHS)
    first.record(evaluation(owner, 1, 0.5))
    assert second.claim(architecture(1), EPOCHS, room=9 * EPOCHS) is Verdict.NEWS
    assert [found.key for found in second.news()] == [architecture(1).key]
    assert second.news() == []
    assert second.claim(architecture(1), EPOCHS, room=9 * EPOCHS) is Verdict.TAKEN
    assert first.claim(architecture(2), EPOCHS, room=9 * EPOCHS) is Verdict.MINE, (
        "one's own is no news"
    )


def test_all_searches_together_keep_to_the_budget(claims: Open, owner: Study) -> None:
    first, second = claims(), claims()
    assert first.claim(architecture(1), EPOCHS, room=2 * EPOCHS) is Verdict.MINE
    assert second.claim(architecture(2), EPOCHS, room=2 * EPOCHS) is Verdict.MINE
    assert first.claim(architecture(3), EPOCHS, room=2 * EPOCHS) is Verdict.FULL
    second.record(evaluation(owner, 2, None))
    assert first.claim(architecture(3), EPOCHS, room=2 * EPOCHS) is Verdict.NEWS
    first.news()
    assert first.claim(architecture(3), EPOCHS, room=2 * EPOCHS) is Verdict.MINE, (
        "a failure frees its place"
    )


def test_many_searches_at_once_share_the_work_without_doubles(store: Store, owner: Study) -> None:
    budget, start = 20, threading.Barrier(4)

    def drive(_: int) -> list[int]:
        mine = []
        with Claims(store, owner) as own:
            finished = 0
            start.wait()
            for number in range(40):
                while (
                    verdict := own.claim(architecture(number), EPOCHS, (budget - finished) * EPOCHS)
                ) is Verdict.NEWS:
                    finished += len(own.news())
                if verdict is Verdict.MINE:
                    mine.append(number)
                    finished += own.record(evaluation(owner, number, 0.5))
        return mine

    with ThreadPoolExecutor(4) as pool:
        trained = [number for numbers in pool.map(drive, range(4)) for number in numbers]
    rows = store.evaluations(owner)
    assert len(trained) == len(set(trained)) == len(rows) == budget
    assert sorted(row.number for row in rows) == list(range(budget))


def test_what_a_search_leaves_behind_goes_to_the_next_one(store: Store, owner: Study) -> None:
    with Claims(store, owner) as first:
        first.claim(architecture(1), EPOCHS, room=9 * EPOCHS)
        first.claim(architecture(2), EPOCHS, room=9 * EPOCHS)
        with Claims(store, owner) as second:
            assert second.inherit() == [], "the first still works on them"
    with Claims(store, owner) as third, Claims(store, owner) as fourth:
        assert third.inherit() == [left(1), left(2)]
        assert fourth.inherit() == []
        assert third.inherit() == [], "once is enough"
        third.record(evaluation(owner, 1, 0.5))
    with Claims(store, owner) as fifth:
        assert fifth.inherit() == [left(2)]


CLAIM_AND_WAIT = """
import sys, time
from studies.records.claims import Inheritance, Claims
from studies.records.store import Store
from tests.examples import architecture
store = Store(sys.argv[1])
with Claims(store, store.study("s")) as own:
    own.inherit()
    own.claim(architecture(1), 6, room=54)
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_what_killed_searches_trained_is_counted_as_lost(
    store: Store, url: str, owner: Study
) -> None:
    with Claims(store, owner) as witness:
        for losses in (1, 2):
            child = subprocess.Popen(
                [sys.executable, "-c", CLAIM_AND_WAIT, url], stdout=subprocess.PIPE, text=True
            )
            assert child.stdout is not None
            assert child.stdout.readline() == "claimed\n"
            assert len(witness.others()) == 1
            assert witness.inherit() == []
            child.kill()
            child.communicate()
            assert witness.others() == []
            if losses == 2:
                assert witness.inherit() == [left(1, losses=2)]


def test_the_last_to_leave_looks_after_what_the_killed_have_recorded(
    store: Store, url: str, owner: Study
) -> None:
    with Claims(store, owner) as last:
        last.record(evaluation(owner, 1, 0.5))
        assert last.orphaned() == [], "nobody was killed"
        child = subprocess.Popen(
            [sys.executable, "-c", CLAIM_AND_WAIT, url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
        child.communicate()
        with Claims(store, owner) as other:
            assert other.orphaned() == last.orphaned() == [], "each leaves it to the other"
        assert [entry.val_accuracy for entry in last.orphaned()] == [0.5]
    with Claims(store, owner) as later:
        assert later.orphaned() == [], "the first at work adds everything when it begins"


def test_a_result_that_came_too_late_is_not_written_twice(claims: Open, owner: Study) -> None:
    first, second = claims(), claims()
    first.claim(architecture(1), EPOCHS, room=9 * EPOCHS)
    assert second.record(evaluation(owner, 1, 0.5)) is True
    assert first.record(evaluation(owner, 1, 0.6)) is False
    (row,) = claims().news()
    assert row.val_accuracy == 0.5


def test_it_beats_while_it_lives(
    store: Store, owner: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    with Claims(store, owner), Claims(store, owner) as other:
        (driver,) = other.others()
        latest = time.monotonic() + 20
        while other.others()[0].beats < driver.beats + 3:
            assert time.monotonic() < latest
            time.sleep(0.02)


def test_the_first_is_the_one_that_came_before_all_that_are_at_work(claims: Open) -> None:
    first, second = claims(), claims()
    assert (first.first, second.first) == (True, False)


def elsewhere(beats: int) -> Driver:
    own = Process.own()
    return Driver(id=1, machine="elsewhere", process=own.number, began=own.began, beats=beats)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in its only element, which the test sets."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_driver_on_another_machine_is_dead_once_it_was_silent_for_long(
    clock: list[float],
) -> None:
    watch = Watch()
    for _ in range(20):
        watch.look([elsewhere(7)])
        assert watch.dead(elsewhere(7)) is (clock[0] > 60)
        clock[0] += 5
    assert watch.dead(elsewhere(8)) is False, "it has just been heard of"


def test_silence_does_not_count_while_nobody_could_listen(clock: list[float]) -> None:
    watch = Watch()
    watch.look([elsewhere(7)])
    clock[0] += 600  # the database was away
    watch.look([elsewhere(7)])
    assert watch.dead(elsewhere(7)) is False


def test_a_driver_that_beats_is_alive_however_slowly(clock: list[float]) -> None:
    watch = Watch()
    for step in range(60):
        watch.look([elsewhere(step // 8)])
        assert watch.dead(elsewhere(step // 8)) is False
        clock[0] += 5


def test_a_machine_restarts_and_its_drivers_are_gone(store: Store, owner: Study) -> None:
    with Claims(store, owner), Claims(store, owner) as other:
        assert len(other.others()) == 1
        # The same number, but begun at another time: another process has it now.
        store.database.write(lambda session: session.execute(update(Driver).values(began="1")))
        assert other.others() == []


def test_room_is_counted_in_epochs_that_are_really_trained(claims: Open) -> None:
    own = claims()
    assert own.claim(architecture(1), 1, room=4) is Verdict.MINE
    assert own.claim(architecture(2), 6, room=4, start=4) is Verdict.MINE
    assert own.claim(architecture(3), 6, room=4) is Verdict.MINE, "the last one may take more"
    assert own.claim(architecture(4), 1, room=4) is Verdict.FULL
