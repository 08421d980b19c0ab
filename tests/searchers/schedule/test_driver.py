"""The driver of a search, on real databases: what is counted, recorded, and when it ends."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from nas_space.costs.cost import Task, predict
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule import driver as module
from searchers.schedule import seen_time
from searchers.schedule.counts import SearchCounts, Snapshot
from searchers.schedule.driver import Answer, SearchDriver
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import Assignment, TrainingQueue
from searchers.search import last_words
from studies.records.claims import MOST_LOSSES, Claims
from studies.records.optuna_mirror import OptunaMirror
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.records.tables import Claim, Status
from tests.examples import study

TASK = Task(channels=1, size=(8, 8), classes=10)
SPACE = get("mixed")
PROBLEM = Problem(SPACE, TASK, Limits())
BOUNDS = predict(SPACE.smallest(TASK), TASK).macs, predict(SPACE.largest(TASK), TASK).macs
Make = Callable[..., SearchDriver]


@pytest.fixture
def make(store: Store, mirror: Callable[[str], OptunaMirror], tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as opened:

        def driver(
            budget: int = 4,
            concurrency: int = 2,
            rungs: tuple[int, ...] = (6,),
            **options: object,
        ) -> SearchDriver:
            entered = store.enter(study())
            sampler = samplers.make("random", PROBLEM, 0, store.count(entered))
            parts: dict[str, Any] = {
                "claims": opened.enter_context(Claims(store, entered)),
                "queue": TrainingQueue(Proposer(PROBLEM, sampler, 0), Rungs(rungs)),
                "limit": TimeLimit(None, 1),
                "watch": lambda _: None,
            }
            return SearchDriver(
                study=entered,
                pending=PendingResults((tmp_path / "pending",)),
                mirror=mirror(entered.name),
                counts=SearchCounts(budget, rungs[-1], BOUNDS),
                concurrency=concurrency,
                seed=7,
                **(parts | options),
            )

        yield driver


def result(accuracy: float = 0.5, start: int = 0) -> dict[str, Any]:
    return {
        "start": start,
        "val_accuracy": accuracy,
        "train_loss": 1.0,
        "seconds": 2.0,
        "device": "cpu",
        "weights": b"weights",
    }


def test_the_budget_is_handed_out_once_and_never_more_than_fits(make: Make) -> None:
    driver = make(budget=3, concurrency=2)
    assert isinstance(driver.next("a"), Assignment)
    assert isinstance(driver.next("b"), Assignment)
    assert driver.next("c") is Answer.WAIT
    driver.finish("a", result())
    assert isinstance(driver.next("c"), Assignment)
    driver.finish("b", result())
    assert driver.next("d") is Answer.WAIT, "the last one runs"
    driver.finish("c", result())
    assert driver.next("d") is Answer.OVER
    assert driver.done


def test_failed_trials_are_rows_and_do_not_count(make: Make, store: Store) -> None:
    driver = make(budget=2, concurrency=1)
    driver.next("a")
    driver.finish("a", {"error": "IndexError: no", "device": "cuda"})
    driver.next("b")
    driver.fail("b", "worker died")
    for trial in "cd":
        assert isinstance(driver.next(trial), Assignment)
        driver.finish(trial, result())
    assert driver.done
    rows = store.evaluations(driver.study)
    assert [row.status for row in rows] == [Status.FAILED] * 2 + [Status.FINISHED] * 2
    assert [row.error for row in rows] == ["IndexError: no", "worker died", None, None]
    assert [row.number for row in rows] == [0, 1, 2, 3]
    assert all(row.seed == 7 and row.versions["torch"] for row in rows)


@pytest.mark.parametrize("accuracy", [math.nan, math.inf, -0.5, 1.5, None])
def test_a_training_without_a_valid_accuracy_is_a_failed_row_and_the_search_goes_on(
    make: Make, store: Store, accuracy: float
) -> None:
    driver = make(budget=1, concurrency=1)
    driver.next("a")
    driver.finish("a", result(accuracy))
    assert isinstance(driver.next("b"), Assignment)
    driver.finish("b", result(0.5))
    assert driver.done
    failed, finished = store.evaluations(driver.study)
    assert (failed.status, failed.val_accuracy) == (Status.FAILED, None)
    reason = f"InvalidResult: the training ended with a validation accuracy of {accuracy}"
    assert failed.error == reason
    assert finished.val_accuracy == 0.5
    assert driver.snapshot().hypervolume > 0


def test_a_new_campaign_goes_on_where_the_last_one_ended(make: Make, store: Store) -> None:
    first = make(budget=10)
    for trial in "abc":
        first.next(trial)
        first.finish(trial, result())
    cut_off = first.next("d")
    first.claims.__exit__(None, None, None)  # it ends here, with a trial that has not
    second = make(budget=4)
    assert (second.snapshot().finished, second.inherited) == (3, 1)
    proposal = second.next("e")
    assert isinstance(proposal, Assignment)
    assert proposal == cut_off, "which is trained now, before anything new"
    assert second.next("f") is Answer.WAIT
    second.finish("e", result())
    assert second.done
    keys = [row.key for row in store.evaluations(second.study)]
    assert len(set(keys)) == 4


def test_what_two_searches_died_of_is_a_failed_row(make: Make, store: Store) -> None:
    first = make(budget=2)
    first.next("a")
    died = update(Claim).values(losses=MOST_LOSSES)
    store.database.write(lambda session: session.execute(died))
    first.claims.__exit__(None, None, None)
    second = make(budget=2)
    (row,) = store.evaluations(second.study)
    assert row.status is Status.FAILED
    assert row.error == "DriverLost: 2 searches died while they trained it"
    assert second.inherited == 0
    assert isinstance(second.next("b"), Assignment)


def test_two_campaigns_share_the_budget_and_train_nothing_twice(
    make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    # The same seeds: each would propose what the other does.
    drivers = make(budget=7, concurrency=2), make(budget=7, concurrency=2)
    running: list[tuple[SearchDriver, str]] = []
    for step in range(40):
        driver, trial = drivers[step % 2], str(step)
        if isinstance(driver.next(trial), Assignment):
            running.append((driver, trial))
        if step % 3 == 0 and running:
            finisher, ended = running.pop(0)
            finisher.finish(ended, result())
    assert all(driver.next("x") is Answer.OVER for driver in drivers)
    rows = store.evaluations(drivers[0].study)
    assert len({row.key for row in rows}) == len(rows) == 7
    assert {driver.snapshot().finished for driver in drivers} == {7}


def test_a_search_waits_for_another_that_trains_the_last_ones(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    first, second = make(budget=1), make(budget=1)
    first.next("a")
    assert second.next("b") is Answer.WAIT
    first.claims.__exit__(None, None, None)  # its search ends without a result
    assert isinstance(second.next("b"), Assignment)
    second.finish("b", result())
    assert second.done


def test_a_result_that_the_database_does_not_take_is_kept_and_recorded_later(
    make: Make, store: Store
) -> None:
    driver = make(budget=5)
    driver.next("a")
    driver.next("b")
    engine = store.database._engine
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE nas_evaluations RENAME TO elsewhere"))
    driver.finish("a", result(0.25))
    driver.finish("b", result(0.75))
    assert driver.next("c") is Answer.OVER
    assert driver.trouble is not None
    assert driver.kept == 2
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO nas_evaluations"))
    assert driver.pending.deliver(driver.study.id, driver.claims.record) == 2
    rows = {row.val_accuracy: row for row in store.evaluations(driver.study)}
    assert rows.keys() == {0.25, 0.75}
    assert store.weights(rows[0.75]) == b"weights"


def test_results_that_no_file_takes_either_are_told_in_full_and_can_be_given_back(
    make: Make, store: Store, tmp_path: Path
) -> None:
    driver = make(budget=5)
    (tmp_path / "file").write_text("in the way")
    there = driver.pending
    driver.pending = PendingResults((tmp_path / "file" / "x",))
    driver.next("a")
    driver.next("b")
    engine = store.database._engine
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE nas_evaluations RENAME TO elsewhere"))
    driver.finish("a", result(0.25))
    driver.finish("b", result(0.75))
    assert driver.kept == 0
    assert len(driver.unkept) == 2
    said = last_words(driver)
    assert "no file can be written (" in said
    assert "above are 2 results that nothing has kept" in said
    assert "\n" not in said
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO nas_evaluations"))
    there.folder.mkdir(parents=True)
    for number, line in enumerate(driver.unkept):
        (there.folder / f"{number}.json").write_text(line)
    assert there.deliver(driver.study.id, driver.claims.record) == 2
    assert {row.val_accuracy for row in store.evaluations(driver.study)} == {0.25, 0.75}


def test_a_trial_is_overdue_only_once_a_worker_has_had_it_for_too_long(make: Make) -> None:
    driver = make(budget=5, limit=TimeLimit(0.05, 1))
    driver.next("a")
    time.sleep(0.1)
    assert driver.overdue() == {}, "no worker has begun it"
    driver.begin("a")
    assert driver.overdue() == {}
    time.sleep(0.1)
    (reason,) = driver.overdue().values()
    assert reason == "TimeLimit: no result after 0 s; --trial-timeout allows more"


def test_time_that_the_driver_did_not_see_does_not_count(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_time, "_LONGEST_LOOK_SECONDS", 0.05)
    driver = make(budget=5, limit=TimeLimit(0.5, 1), start_timeout=0.5)
    driver.next("trains")
    driver.begin("trains")
    driver.next("starts")
    driver.place("starts")
    time.sleep(0.7)  # as a process that is stopped, or a laptop that is shut
    assert driver.overdue() == {}
    assert driver.setting_up() < 0.2
    for _ in range(30):
        time.sleep(0.03)
        overdue = driver.overdue()
    assert overdue.keys() == {"trains", "starts"}


def test_a_worker_that_does_not_start_is_overdue_by_a_limit_of_its_own(make: Make) -> None:
    driver = make(budget=5, limit=TimeLimit(0.01, 1), start_timeout=0.1)
    driver.next("a")
    time.sleep(0.15)
    assert driver.overdue() == {}, "no worker has it"
    assert driver.stalled() > 0.1
    driver.place("a")
    assert driver.overdue() == {}
    assert driver.stalled() == 0
    time.sleep(0.15)
    assert driver.setting_up() > 0.1
    (reason,) = driver.overdue().values()
    assert reason == "TimeLimit: the worker does not start, not in 0 s; --start-timeout allows more"
    driver.fail("a", reason)
    assert driver.stalled() == 0, "nobody waits"
    assert driver.setting_up() == 0


def fail_in_training(driver: SearchDriver, trial: str, reason: str) -> None:
    driver.begin(trial)
    driver.fail(trial, reason)


@pytest.mark.parametrize(
    "reason",
    [
        "WorkerDied: gone",
        "TimeLimit: no result after 60 s",
        "OutOfMemoryError: CUDA out of memory",
        "MemoryError",
        "AcceleratorError: CUDA error: out of memory",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_a_failure_that_may_pass_is_no_failure_before_the_second_time(
    make: Make, store: Store, reason: str
) -> None:
    driver = make(budget=2, concurrency=1)
    first = driver.next("a")
    fail_in_training(driver, "a", reason)
    assert store.evaluations(driver.study) == []
    assert driver.next("b") == first, "the same training again"
    assert driver.snapshot().retried == 1
    driver.finish("b", result())
    second = driver.next("c")
    assert second != first
    fail_in_training(driver, "c", reason)
    assert driver.next("d") == second
    fail_in_training(driver, "d", reason)
    assert driver.next("e") not in (first, second)
    driver.finish("e", result())
    assert driver.done
    rows = store.evaluations(driver.study)
    assert [row.error for row in rows] == [None, reason, None]


def test_what_a_search_did_not_try_again_before_its_end_the_next_one_does(make: Make) -> None:
    first = make(budget=2, concurrency=1)
    lost = first.next("a")
    first.stop("interrupted")
    fail_in_training(first, "a", "WorkerDied: gone")
    assert first.next("b") is Answer.OVER
    first.claims.__exit__(None, None, None)
    second = make(budget=2, concurrency=1)
    assert second.inherited == 1
    assert second.next("c") == lost


def test_an_architecture_that_fails_twice_is_one_failure(make: Make, store: Store) -> None:
    driver = make(budget=50, concurrency=1)
    handed_out = 0
    while driver.next(str(handed_out)) is not Answer.OVER:
        fail_in_training(driver, str(handed_out), "OutOfMemoryError: tried to allocate 9 GiB")
        handed_out += 1
    assert handed_out == 9, "five architectures, the last of them once"
    assert len(store.evaluations(driver.study)) == 4


def test_on_any_number_of_workers_five_set_ups_that_fail_end_the_search(
    make: Make, store: Store
) -> None:
    driver = make(budget=500, concurrency=32)
    for trial in range(32):
        assert isinstance(driver.next(str(trial)), Assignment)
        driver.place(str(trial))
    for trial in range(32):
        driver.fail(str(trial), "RuntimeError: CUDA error: no kernel image")
        assert (driver.next(f"then {trial}") is Answer.OVER) == (trial >= 4)
    assert len(store.evaluations(driver.study)) == 5, "the others' claims wait"
    driver.claims.__exit__(None, None, None)
    assert make(budget=500, concurrency=32).inherited == 32 - 1


def test_on_any_number_of_workers_five_trainings_that_raise_end_the_search(make: Make) -> None:
    driver = make(budget=500, concurrency=32)
    for trial in range(32):
        driver.next(str(trial))
        driver.begin(str(trial))
    for trial in range(5):
        assert driver.over_because is None
        driver.fail(str(trial), "AcceleratorError: CUDA error: no kernel image")
    assert driver.over_because is not None


def test_the_same_failure_over_and_over_ends_the_search_with_its_reason(make: Make) -> None:
    driver = make(budget=50, concurrency=1)
    answers: list[object] = []
    for number in range(20):
        answers.append(driver.next(str(number)))
        if answers[-1] is Answer.OVER:
            break
        driver.fail(str(number), "CUDA error: no kernel image")
    assert len(answers) == 6
    assert driver.over_because is not None
    assert "CUDA error: no kernel image" in driver.over_because


def test_failures_that_differ_in_a_number_are_alike(make: Make) -> None:
    driver = make(budget=50, concurrency=1)
    for number in range(5):
        assert isinstance(driver.next(str(number)), Assignment)
        driver.fail(str(number), f"OutOfMemoryError: tried to allocate {number} MiB")
    assert driver.next("x") is Answer.OVER


def test_failures_of_every_kind_end_it_at_last(make: Make) -> None:
    driver = make(budget=50, concurrency=1)
    for number in range(20):
        assert isinstance(driver.next(str(number)), Assignment)
        driver.fail(str(number), f"{number % 3}Error: why")
    assert driver.next("x") is Answer.OVER


def test_failures_of_different_kinds_or_between_successes_do_not_end_it(make: Make) -> None:
    driver = make(budget=50, concurrency=1)
    for number in range(20):
        assert isinstance(driver.next(str(number)), Assignment)
        if number % 4 == 3:
            driver.finish(str(number), result())
        else:
            driver.fail(str(number), "same reason")
    assert driver.over_because is None


def test_a_stop_lets_running_trials_finish(make: Make) -> None:
    driver = make(budget=50)
    driver.next("a")
    driver.stop("interrupted")
    assert driver.next("b") is Answer.OVER
    driver.finish("a", result())
    assert driver.snapshot().finished == 1


def test_snapshots_tell_how_it_stands(make: Make) -> None:
    seen: list[Snapshot] = []
    driver = make(budget=4, watch=seen.append)
    driver.next("a")
    assert (seen[-1].running, seen[-1].best, seen[-1].seconds_left) == (1, None, None)
    driver.finish("a", result(0.25))
    driver.next("b")
    assert (seen[-1].finished, seen[-1].running, seen[-1].best) == (1, 1, 0.25)
    assert 0 < seen[-1].hypervolume < 0.25
    assert seen[-1].seconds_left is not None


def test_the_best_of_a_rung_go_on_and_only_full_trainings_are_on_the_front(
    make: Make, store: Store
) -> None:
    driver = make(budget=4, concurrency=1, rungs=(2, 6))
    for number in range(40):
        assignment = driver.next(str(number))
        if assignment is Answer.OVER:
            break
        assert isinstance(assignment, Assignment)
        partial = assignment.epochs < 6
        accuracy = 0.9 if partial else 0.5
        if assignment.start:
            assert driver.checkpoint(assignment) == b"half"
        found = result(accuracy, start=assignment.start)
        if partial:
            del found["weights"]
            found["checkpoint"] = b"half"
        driver.finish(str(number), found)
    rows = store.evaluations(driver.study)
    full = [row for row in rows if row.epochs == 6]
    assert sum(row.trained for row in rows) >= 24 > sum(row.trained for row in rows[:-1])
    assert {row.start for row in full} <= {0, 2}
    assert len({(row.key, row.epochs) for row in rows}) == len(rows)
    assert {row.key for row in full if row.start} <= {row.key for row in rows if row.epochs == 2}
    snapshot = driver.snapshot()
    assert (snapshot.finished, snapshot.partial) == (len(full), len(rows) - len(full))
    assert snapshot.best == 0.5, "an accuracy on the way is none"
    assert all(store.weights(row) is None for row in rows if row.epochs == 2)


def test_a_network_that_was_going_on_is_taken_up_with_its_checkpoint(make: Make) -> None:
    first = make(budget=9, rungs=(2, 6))
    for trial in "abc":
        first.next(trial)
        first.finish(trial, result() | {"checkpoint": trial.encode()})
    going_on = first.next("d")
    assert isinstance(going_on, Assignment)
    assert (going_on.start, going_on.epochs) == (2, 6)
    first.claims.__exit__(None, None, None)
    second = make(budget=9, rungs=(2, 6))
    assert second.inherited == 1
    again = second.next("e")
    assert again == going_on
    assert isinstance(again, Assignment)
    assert second.checkpoint(again) in {b"a", b"b", b"c"}
    new = second.next("f")
    assert isinstance(new, Assignment)
    assert new.start == 0, "nobody else goes on yet"
    assert second.checkpoint(new) is None


class CountingPlan(TrainingQueue):
    """A queue that says how often it was asked."""

    asked = 0

    def next(self, room: int) -> Assignment | None:
        """As it is, counted."""
        self.asked += 1
        return super().next(room)


def counting() -> CountingPlan:
    sampler = samplers.make("random", PROBLEM, 0)
    return CountingPlan(Proposer(PROBLEM, sampler, 0), Rungs((6,)))


def hand_out(driver: SearchDriver, trial: str) -> None:
    assert isinstance(driver.next(trial), Assignment)
    driver.begin(trial)
    driver.prepare()


def test_after_a_short_training_the_next_is_chosen_while_all_workers_train(make: Make) -> None:
    queue = counting()
    driver = make(budget=5, concurrency=2, queue=queue)
    hand_out(driver, "a")
    hand_out(driver, "b")
    assert queue.asked == 2, "nobody knows yet how long trainings take"
    driver.finish("a", result() | {"seconds": 1e-9})
    assert isinstance(driver.next("c"), Assignment)
    driver.prepare()
    assert queue.asked == 3, "c has not begun: nothing may hold it up"
    driver.begin("c")
    driver.prepare()
    driver.prepare()
    assert queue.asked == 4
    driver.finish("b", result() | {"seconds": 1e-9})
    hand_out(driver, "d")
    assert queue.asked == 5, "d was ready, and another is chosen"
    driver.finish("c", result() | {"seconds": 1e-9})
    hand_out(driver, "e")
    assert queue.asked == 5, "the budget is handed out"
    for trial in "de":
        driver.finish(trial, result())
    assert driver.done


@pytest.mark.parametrize(("seconds", "concurrency"), [(1e9, 2), (1e-9, 1)])
def test_nothing_is_chosen_ahead_of_long_trainings_or_for_a_single_worker(
    make: Make, seconds: float, concurrency: int
) -> None:
    queue = counting()
    driver = make(budget=9, concurrency=concurrency, queue=queue)
    for trial in "abc"[:concurrency]:
        hand_out(driver, trial)
    driver.finish("a", result() | {"seconds": seconds})
    hand_out(driver, "d")
    assert queue.asked == concurrency + 1


def test_what_was_chosen_ahead_is_forgotten_when_the_search_ends(make: Make, store: Store) -> None:
    queue = counting()
    driver = make(budget=9, concurrency=2, queue=queue)
    hand_out(driver, "a")
    hand_out(driver, "b")
    driver.finish("a", result() | {"seconds": 1e-9})
    hand_out(driver, "c")
    assert queue.asked == 4
    driver.stop("stopped")
    driver.finish("b", result())
    driver.finish("c", result())
    assert driver.next("d") is Answer.OVER
    driver.claims.__exit__(None, None, None)
    assert make(budget=9).inherited == 0
    assert len(store.evaluations(driver.study)) == 3
