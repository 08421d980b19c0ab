"""The front of fresh seeds, and what the selection had flattered."""

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.pareto.front import front
from studies.records.tables import Evaluation, Retraining
from studies.retraining.plan import RetrainingPlan
from studies.retraining.retrained_front import (
    Fidelity,
    NotRetrainedError,
    RetrainedFront,
    means_of,
    retrained_front,
)
from studies.retraining.summary import as_json, curse_of
from tests.examples import evaluation, study
from trainers.intervals import around_mean

OWNER = study()
OWNER.id = 1
QUICK = Fidelity("quick", 6)


def member(number: int, accuracy: float, macs: int) -> Evaluation:
    return evaluation(OWNER, number, accuracy, id=10 + number, macs=macs)


MEMBERS = [member(0, 0.80, 1000), member(1, 0.90, 2000), member(2, 0.95, 3000)]


def rows(
    of: Evaluation, accuracies: Sequence[float | None], fidelity: Fidelity = QUICK
) -> list[Retraining]:
    return [
        Retraining(
            evaluation_id=of.id,
            recipe=fidelity.recipe,
            epochs=fidelity.epochs,
            seed=of.seed + 1 + turn,
            val_accuracy=accuracy,
            error="RuntimeError: no" if accuracy is None else None,
        )
        for turn, accuracy in enumerate(accuracies)
    ]


def found(*accuracies: Sequence[float | None], fidelity: Fidelity | None = None) -> RetrainedFront:
    trained = [row for m, mine in zip(MEMBERS, accuracies, strict=True) for row in rows(m, mine)]
    return retrained_front(MEMBERS, trained, fidelity)


def test_the_front_is_drawn_from_means_and_not_from_the_number_of_the_search() -> None:
    new = found([0.70, 0.72], [0.90, 0.88], [0.84, 0.86])
    assert [finalist.number for finalist in new.front] == [0, 1]
    assert [f.val_accuracy for f in new.finalists] == pytest.approx([0.71, 0.89, 0.85])
    accuracy = new.finalists[0].accuracy
    assert accuracy is not None
    assert accuracy.half == around_mean([0.70, 0.72])


def test_a_standing_says_whom_it_had_to_beat_and_whether_that_is_clear() -> None:
    new = found([0.70, 0.701], [0.900, 0.901], [0.84, 0.94])
    first, second, third = (new.comparison(finalist) for finalist in new.finalists)
    assert first is not None
    assert (first.stays, first.rival, first.clear) == (True, None, True)
    assert second is not None
    assert second.rival is new.finalists[0]
    assert (second.stays, second.clear) == (True, True)
    assert third is not None
    assert third.rival is new.finalists[1]
    assert (third.stays, third.clear) == (False, False)


def test_of_one_seed_nothing_is_clear() -> None:
    new = found([0.1], [0.5], [0.9])
    comparison = new.comparison(new.finalists[2])
    assert comparison is not None
    assert comparison.stays
    assert not comparison.clear


def test_the_winners_curse_is_the_mean_over_members_with_its_interval() -> None:
    curse = found([0.78], [0.87, 0.89], [0.91]).curse
    assert curse is not None
    assert curse.value == pytest.approx((0.02 + 0.02 + 0.04) / 3)
    assert curse.half == pytest.approx(around_mean([0.02, 0.02, 0.04]))
    assert curse.count == 3


def test_another_fidelity_measures_no_winners_curse() -> None:
    full = Fidelity("full", 60)
    trained = [row for m in MEMBERS for row in rows(m, [0.9, 0.9], full)]
    new = retrained_front(MEMBERS, trained)
    assert new.fidelity == full
    assert new.curse is None
    assert "no winner's curse" in curse_of(new)


def test_only_a_fidelity_of_all_members_is_taken_and_of_these_the_longest() -> None:
    long, longer = Fidelity("quick", 12), Fidelity("full", 60)
    trained = [row for m in MEMBERS for f in (QUICK, long) for row in rows(m, [0.9], f)]
    trained += rows(MEMBERS[0], [0.99], longer)
    assert retrained_front(MEMBERS, trained).fidelity == long
    with pytest.raises(NotRetrainedError, match="of 3 members of the front 1 were trained again"):
        retrained_front(MEMBERS, trained, longer)


def test_what_was_never_trained_again_is_refused() -> None:
    with pytest.raises(NotRetrainedError, match="of 3 members of the front 0 were trained again"):
        retrained_front(MEMBERS, [])
    with pytest.raises(NotRetrainedError, match="no finished evaluations yet"):
        retrained_front([], [])


def test_the_seed_of_the_search_and_other_networks_do_not_count() -> None:
    trained = [row for m in MEMBERS for row in rows(m, [0.9])]
    biased = Retraining(evaluation_id=10, recipe="quick", epochs=6, seed=0, val_accuracy=1.0)
    strange = Retraining(evaluation_id=99, recipe="quick", epochs=6, seed=1, val_accuracy=1.0)
    new = retrained_front(MEMBERS, [*trained, biased, strange])
    assert [f.val_accuracy for f in new.finalists] == [0.9] * 3
    assert list(means_of(MEMBERS[0], [*trained, biased, strange])) == [QUICK]
    assert means_of(MEMBERS[0], [*trained, biased])[QUICK].value == 0.9


def test_a_member_whose_trainings_all_failed_is_in_no_front_but_in_the_report() -> None:
    new = found([None, None], [0.8, None], [0.9, 0.9])
    assert [finalist.number for finalist in new.front] == [1, 2]
    assert new.comparison(new.finalists[0]) is None
    first, second, _ = as_json(new)["finalists"]
    assert (first["val_accuracy"], first["n"], first["failed"]) == (None, 0, 2)
    assert (second["val_accuracy"], second["n"], second["failed"]) == (0.8, 1, 1)


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.lists(st.floats(0, 1, width=16), min_size=1, max_size=3)),
        min_size=1,
        max_size=6,
    )
)
def test_who_stays_is_who_is_on_the_front_of_means(
    drawn: list[tuple[int, list[float]]],
) -> None:
    members = [member(number, 0.5, macs) for number, (macs, _) in enumerate(drawn)]
    trained = [row for m, (_, mine) in zip(members, drawn, strict=True) for row in rows(m, mine)]
    new = retrained_front(members, trained)
    kept = {f.number for f in front(new.finalists)}
    for finalist in new.finalists:
        comparison = new.comparison(finalist)
        assert comparison is not None
        assert comparison.stays == (finalist.number in kept)
        if comparison.rival is not None and not math.isclose(
            comparison.rival.val_accuracy or 0, finalist.val_accuracy or 0
        ):
            beaten = (comparison.rival.val_accuracy or 0) > (finalist.val_accuracy or 0)
            assert comparison.stays or beaten or comparison.rival.cost == finalist.cost


def test_a_plan_gives_every_member_its_first_seed_before_any_gets_its_second() -> None:
    plan = RetrainingPlan(MEMBERS, QUICK, 2)
    tasks = plan.missing([], Random(0))
    assert plan.total == len(tasks) == 6
    assert {task.evaluation_id for task in tasks[:3]} == {10, 11, 12}
    assert [task.seed for task in tasks] == [1, 1, 1, 2, 2, 2]


def test_a_plan_leaves_out_what_is_done_and_what_failed_unless_it_is_tried_again() -> None:
    done = rows(MEMBERS[0], [0.9, None])
    left = [task.identity for task in RetrainingPlan(MEMBERS, QUICK, 2).missing(done, Random(0))]
    assert sorted(left) == [(11, 1), (11, 2), (12, 1), (12, 2)]
    again = RetrainingPlan(MEMBERS, QUICK, 2, again=True)
    assert (10, 2) in [task.identity for task in again.missing(done, Random(0))]
    assert again.failed(done) == done[1:]
    assert len(RetrainingPlan(MEMBERS, Fidelity("full", 6), 2).missing(done, Random(0))) == 6
