"""The books of a search, on real databases: what is counted, recorded, and when it ends."""

from collections.abc import Callable
from typing import Any

import pytest

from nas_space.cost import Task, predict
from nas_space.spaces import get
from searchers import samplers
from searchers.campaign import Answer, Campaign, Snapshot
from searchers.limits import Limits
from searchers.proposals import Proposal, Proposer
from studies.mirror import Mirror
from studies.records import Status
from studies.store import Store
from tests.examples import study

TASK = Task(channels=1, size=(8, 8), classes=10)
SPACE = get("mixed")
Make = Callable[..., Campaign]


@pytest.fixture
def make(store: Store, mirror: Callable[[str], Mirror]) -> Make:
    def campaign(budget: int = 4, concurrency: int = 2, **options: object) -> Campaign:
        entered = store.enter(study())
        evaluations = store.evaluations(entered)
        sampler = samplers.make("random", 0, len(evaluations))
        bounds = predict(SPACE.smallest(TASK), TASK).macs, predict(SPACE.largest(TASK), TASK).macs
        parts: dict[str, Any] = {"bounds": bounds, "watch": lambda _: None}
        return Campaign(
            study=entered,
            store=store,
            mirror=mirror(entered.name),
            proposer=Proposer(SPACE, TASK, sampler, Limits(), 0),
            evaluations=evaluations,
            budget=budget,
            concurrency=concurrency,
            seed=7,
            **(parts | options),
        )

    return campaign


def result(accuracy: float = 0.5) -> dict[str, Any]:
    return {
        "val_accuracy": accuracy,
        "train_loss": 1.0,
        "seconds": 2.0,
        "device": "cpu",
        "weights": b"weights",
    }


def test_the_budget_is_handed_out_once_and_never_more_than_fits(make: Make) -> None:
    campaign = make(budget=3, concurrency=2)
    assert isinstance(campaign.next("a"), Proposal)
    assert isinstance(campaign.next("b"), Proposal)
    assert campaign.next("c") is Answer.WAIT
    campaign.finish("a", result())
    assert isinstance(campaign.next("c"), Proposal)
    campaign.finish("b", result())
    assert campaign.next("d") is Answer.WAIT, "the last one runs"
    campaign.finish("c", result())
    assert campaign.next("d") is Answer.OVER
    assert campaign.done


def test_failed_trials_are_rows_and_do_not_count(make: Make, store: Store) -> None:
    campaign = make(budget=2, concurrency=1)
    campaign.next("a")
    campaign.finish("a", {"error": "OutOfMemoryError: no", "device": "cuda"})
    campaign.next("b")
    campaign.fail("b", "worker died")
    for trial in "cd":
        assert isinstance(campaign.next(trial), Proposal)
        campaign.finish(trial, result())
    assert campaign.done
    rows = store.evaluations(campaign.study)
    assert [row.status for row in rows] == [Status.FAILED] * 2 + [Status.FINISHED] * 2
    assert [row.error for row in rows] == ["OutOfMemoryError: no", "worker died", None, None]
    assert [row.number for row in rows] == [0, 1, 2, 3]
    assert all(row.seed == 7 and row.versions["torch"] for row in rows)


def test_a_new_campaign_goes_on_where_the_last_one_ended(make: Make, store: Store) -> None:
    first = make(budget=10)
    for trial in "abc":
        first.next(trial)
        first.finish(trial, result())
    first.next("d")  # its driver dies here: nothing was written, nothing lingers
    second = make(budget=4)
    assert second.snapshot().finished == 3
    proposal = second.next("e")
    assert isinstance(proposal, Proposal)
    assert second.next("f") is Answer.WAIT
    second.finish("e", result())
    assert second.done
    keys = [row.key for row in store.evaluations(second.study)]
    assert len(set(keys)) == 4


def test_the_same_failure_over_and_over_ends_the_search_with_its_reason(make: Make) -> None:
    campaign = make(budget=50, concurrency=1)
    answers = []
    for number in range(20):
        answers.append(campaign.next(str(number)))
        if answers[-1] is Answer.OVER:
            break
        campaign.fail(str(number), "CUDA error: no kernel image")
    assert len(answers) == 6
    assert campaign.over_because is not None
    assert "CUDA error: no kernel image" in campaign.over_because


def test_failures_that_differ_in_a_number_are_alike(make: Make) -> None:
    campaign = make(budget=50, concurrency=1)
    for number in range(5):
        assert isinstance(campaign.next(str(number)), Proposal)
        campaign.fail(str(number), f"OutOfMemoryError: tried to allocate {number} MiB")
    assert campaign.next("x") is Answer.OVER


def test_failures_of_every_kind_end_it_at_last(make: Make) -> None:
    campaign = make(budget=50, concurrency=1)
    for number in range(20):
        assert isinstance(campaign.next(str(number)), Proposal)
        campaign.fail(str(number), f"{number % 3}Error: why")
    assert campaign.next("x") is Answer.OVER


def test_failures_of_different_kinds_or_between_successes_do_not_end_it(make: Make) -> None:
    campaign = make(budget=50, concurrency=1)
    for number in range(20):
        assert isinstance(campaign.next(str(number)), Proposal)
        if number % 4 == 3:
            campaign.finish(str(number), result())
        else:
            campaign.fail(str(number), "same reason")
    assert campaign.over_because is None


def test_a_stop_lets_running_trials_finish(make: Make) -> None:
    campaign = make(budget=50)
    campaign.next("a")
    campaign.stop("interrupted")
    assert campaign.next("b") is Answer.OVER
    campaign.finish("a", result())
    assert campaign.snapshot().finished == 1


def test_snapshots_tell_how_it_stands(make: Make) -> None:
    seen: list[Snapshot] = []
    campaign = make(budget=4, watch=seen.append)
    campaign.next("a")
    assert (seen[-1].running, seen[-1].best, seen[-1].seconds_left) == (1, None, None)
    campaign.finish("a", result(0.25))
    campaign.next("b")
    assert (seen[-1].finished, seen[-1].running, seen[-1].best) == (1, 1, 0.25)
    assert 0 < seen[-1].hypervolume < 0.25
    assert seen[-1].seconds_left is not None
