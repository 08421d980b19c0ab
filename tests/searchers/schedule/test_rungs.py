"""Who goes on from rung to rung."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.schedule.rungs import InvalidRungsError, Promotion, RungResult, Rungs, check, ladder
from studies.objective import MACS
from studies.records.tables import Study
from tests.examples import evaluation


def entry(key: str, accuracy: float | None = 0.5, cost: int = 1000) -> RungResult:
    return RungResult(key, accuracy, cost)


@given(st.integers(1, 10_000))
def test_each_rung_is_about_a_third_of_the_next_and_the_last_is_a_full_training(
    epochs: int,
) -> None:
    rungs = ladder(epochs)
    check(rungs, epochs)
    assert rungs[0] < 3
    for below, above in itertools.pairwise(rungs):
        assert below == round(above / 3)


def test_known_ladders() -> None:
    assert [ladder(epochs) for epochs in (1, 2, 3, 6, 9, 60)] == [
        (1,),
        (2,),
        (1, 3),
        (2, 6),
        (1, 3, 9),
        (2, 7, 20, 60),
    ]


def test_no_rung_is_where_the_learning_rate_still_rises() -> None:
    assert [ladder(epochs, 0.25) for epochs in (3, 6, 9, 12)] == [(1, 3), (2, 6), (3, 9), (4, 12)]
    assert ladder(60, 0.1) == (7, 20, 60)


@pytest.mark.parametrize("rungs", [(3, 1, 9), (1, 3), (0, 9), (1, 1, 9), (1, 3, 9, 27)])
def test_rungs_that_do_not_lead_up_to_a_full_training_are_refused(rungs: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRungsError, match="must ascend to the 9 epochs of a full training"):
        check(rungs, 9)


def test_of_three_the_best_goes_on_once_and_of_six_two() -> None:
    rungs = Rungs((1, 3, 9))
    for key, accuracy in (("a", 0.1), ("b", 0.3)):
        rungs.tell(1, entry(key, accuracy))
        assert rungs.promotion() is None
    rungs.tell(1, entry("c", 0.2))
    assert rungs.promotion() == Promotion("b", 1, 3)
    rungs.leave("b", 3)
    assert rungs.promotion() is None
    for key in "def":
        rungs.tell(1, entry(key, 0.05))
    assert rungs.promotion() == Promotion("c", 1, 3)


def test_small_networks_go_on_as_well_as_accurate_ones() -> None:
    rungs = Rungs((1, 3))
    rungs.tell(1, entry("small", 0.2, cost=10))
    rungs.tell(1, entry("large", 0.9, cost=1000))
    for number in range(4):
        rungs.tell(1, entry(f"worse{number}", 0.1 + number / 10, cost=900 + number))
    gone = set()
    while (promotion := rungs.promotion()) is not None:
        gone.add(promotion.key)
        rungs.leave(promotion.key, promotion.epochs)
    assert gone == {"small", "large"}


def test_where_to_cost_less_is_no_better_the_most_accurate_go_on() -> None:
    task = Task(channels=3, size=(16, 16), classes=10)
    limits = Limits(macs=1000)
    around = Problem(get("mixed"), task, limits, objective=MACS, target=1000)
    assert [around.judged(cost) for cost in (10, 900)] == [1000, 1000]
    assert Problem(get("mixed"), task, limits, objective=MACS).judged(10) == 10
    rungs = Rungs((1, 3), around.octave, around.judged)
    rungs.tell(1, entry("small", 0.2, cost=10))
    for number in range(5):
        rungs.tell(1, entry(f"large{number}", 0.5 + number / 10, cost=900 + number))
    assert promoted(rungs, 2) == ["large4", "large3"]


def promoted(rungs: Rungs, count: int) -> list[str]:
    """The keys of the next networks that go up from the lowest rung."""
    found = []
    for _ in range(count):
        promotion = rungs.promotion()
        assert promotion is not None
        rungs.leave(promotion.key, promotion.epochs)
        found.append(promotion.key)
    assert rungs.promotion() is None
    return found


def crowded() -> dict[str, RungResult]:
    """Six good networks: four of 512 to 1024, one of 2048, one of 4096; and twelve poor ones."""
    good = {"a": 520, "b": 600, "c": 700, "d": 800, "e": 2050, "f": 4100}
    found = {key: entry(key, 0.5 + cost / 10_000, cost) for key, cost in good.items()}
    for number in range(12):
        found[f"poor{number}"] = entry(f"poor{number}", 0.1, 5000 + number)
    return found


def test_octaves_of_costs_take_turns_and_the_better_ranks_of_one_come_first() -> None:
    rungs = Rungs((1, 3))
    for result in crowded().values():
        rungs.tell(1, result)
    found = promoted(rungs, 6)
    assert set(found[:3]) & set("abcd")
    assert set(found[:3]) >= {"e", "f"}, "a crowded octave does not keep the others waiting"
    assert set(found[3:]) < set("abcd")


def test_the_axis_of_costs_says_what_takes_turns() -> None:
    # All in one place: then only ranks count, and these six are all of the first.
    rungs = Rungs((1, 3), lambda _cost: 0.0)
    for result in crowded().values():
        rungs.tell(1, result)
    first = promoted(rungs, 6)
    other = Rungs((1, 3), lambda cost: 0.0 if cost < 750 else 1.0)
    for result in crowded().values():
        other.tell(1, result)
    second = promoted(other, 6)
    assert set(first) == set(second) == set("abcdef")
    sides = ["abc".count(key) for key in second]
    assert [sum(sides[at : at + 2]) for at in (0, 2, 4)] == [1, 1, 1], "in turn"


def test_the_highest_rung_goes_first() -> None:
    rungs = Rungs((1, 3, 9))
    for key in "abc":
        rungs.tell(1, entry(key, 0.5, cost=ord(key)))
        rungs.tell(3, entry(f"{key}3", 0.5, cost=ord(key)))
    assert rungs.promotion() == Promotion("a3", 3, 9)
    rungs.leave("a3", 9)
    assert rungs.promotion() == Promotion("a", 1, 3)


def test_what_failed_or_is_trained_further_goes_nowhere() -> None:
    rungs = Rungs((1, 3, 9))
    for key in "abcdef":
        rungs.tell(1, entry(key, 0.5, cost=ord(key)))
    rungs.tell(3, entry("a", None), failed=True)
    rungs.tell(9, entry("b", 0.7))
    assert rungs.promotion() is None
    assert rungs.finish() == Promotion("c", 1, 3)


def test_at_the_end_the_best_that_is_left_goes_on() -> None:
    rungs = Rungs((1, 3))
    assert rungs.finish() is None
    rungs.tell(1, entry("a", 0.1))
    rungs.tell(1, entry("b", 0.2))
    assert rungs.promotion() is None
    assert rungs.finish() == Promotion("b", 1, 3)


def test_a_single_rung_lets_nobody_go_on() -> None:
    rungs = Rungs((6,))
    for number in range(9):
        rungs.tell(6, entry(str(number), number / 10))
    assert (rungs.promotion(), rungs.finish()) == (None, None)


def test_what_is_known_is_learned_and_other_fidelities_are_passed_over() -> None:
    owner = Study(id=1)
    rungs = Rungs((2, 6))
    rungs.learn(evaluation(owner, number, number / 10, epochs=2) for number in range(3))
    rungs.learn([evaluation(owner, 9, 0.9, epochs=4), evaluation(owner, 8, None, epochs=2)])
    promotion = rungs.promotion()
    assert promotion is not None
    assert promotion.key in {evaluation(owner, number, 0.5).key for number in range(3)}


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.floats(0, 1), st.integers(1, 10**6)),
        max_size=40,
        unique_by=lambda told: told[0],
    )
)
def test_never_more_than_a_third_of_a_rung_has_gone_on(
    told: list[tuple[int, float, int]],
) -> None:
    rungs, gone = Rungs((1, 3)), 0
    for count, (key, accuracy, cost) in enumerate(told, 1):
        rungs.tell(1, entry(str(key), accuracy, cost))
        while (promotion := rungs.promotion()) is not None:
            rungs.leave(promotion.key, promotion.epochs)
            gone += 1
        # Whoever is overtaken later has gone on all the same.
        assert gone <= count
        assert gone >= min(1, count // 3)
