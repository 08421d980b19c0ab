"""What is searched: the extremes of its costs."""

import itertools
import math
from dataclasses import dataclass

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualSpace
from searchers.latency.model import Accuracy, LatencyModel
from searchers.latency.obtaining import networks
from searchers.latency.parts import every_part
from searchers.limits import Limits
from searchers.problem import Problem
from studies import objective
from studies.pareto.front import front
from studies.pareto.knee import answer

TASK = Task(3, (9, 8), 10)
FEW = ResidualSpace("few", ("regular", "igc"), widths=((8,), (8, 16)), depths=(1,))


@dataclass(frozen=True)
class Point:
    val_accuracy: float | None
    cost: float


def timed() -> LatencyModel:
    seconds = {part: (part.macs % 997 + 1) * 1e-6 for part in every_part(FEW, TASK)}
    factors = dict.fromkeys({part.group for part in seconds}, 1.0)
    return LatencyModel("here", 1, TASK, 1e-3, factors, seconds, Accuracy(40, 0.03, 0.1, 0.9, 0.05))


@pytest.mark.parametrize("name", objective.OBJECTIVES)
def test_its_bounds_are_the_costs_of_the_cheapest_and_the_dearest_of_all(name: str) -> None:
    aim = objective.OBJECTIVES.get(name)
    problem = Problem(FEW, TASK, Limits(), timed(), aim)
    costs = [aim.of(problem.cost(network)) for network in networks(FEW, FEW.size())]
    assert len(costs) == FEW.size()
    assert problem.bounds == (min(costs), max(costs))


def problem(target: float | None = None, limits: Limits | None = None) -> Problem:
    return Problem(get("mixed"), TASK, limits or Limits(), target=target)


def test_a_search_begins_with_costs_up_to_the_limit_or_to_a_known_network() -> None:
    _, high = problem().bounds
    known = problem().cost(get("mixed").reference()).macs
    cheapest = min(cost.macs for cost, _ in problem().by_hand)
    assert problem().span == (cheapest, known)
    assert known < high
    assert problem(limits=Limits(macs=100_000)).span == (cheapest, 100_000)
    assert problem(limits=Limits(macs=10**12)).span == (cheapest, high)


def test_costs_are_spread_over_octaves_alike_the_middle_first() -> None:
    low, high = problem().span
    middle, lower, upper = problem().spread(3)
    assert middle == pytest.approx(math.sqrt(low * high))
    assert lower / low == pytest.approx(middle / lower) == pytest.approx(upper / middle)
    assert len(set(problem().spread(50))) == 50
    assert all(low < cost < high for cost in problem().spread(50))
    assert problem().octave(4e5) - problem().octave(1e5) == pytest.approx(2)
    # What is cheaper than any hand-designed network is one place.
    assert problem().octave(low / 4) == problem().octave(low)


def test_with_a_target_costs_just_below_it_come_first_and_weigh_most() -> None:
    aimed = problem(target=2e6)
    spread = aimed.spread(63)
    assert 1.5e6 < spread[0] < 2e6
    assert all(cost < 2e6 for cost in spread)
    assert sum(cost > 1e6 for cost in spread) > 58
    edges = aimed.weigh([1e4, 1e6, 1.5e6, 2e6, 4e6, 1e9])
    assert edges == sorted(edges)
    assert edges[3:] == [1, 1, 1]
    widths = [after - before for before, after in itertools.pairwise(edges)]
    assert widths[2] > widths[1] > 3 * widths[0]
    # A turn of promotions is an eighth of the attention.
    assert aimed.octave(2e6) == pytest.approx(8)
    assert [round(aimed.octave(aimed.at(share / 8)), 6) for share in range(1, 8)] == [*range(1, 8)]


def test_the_answer_of_a_search_is_the_knee_or_the_best_within_its_target() -> None:
    members = front([Point(0.2, 10), Point(0.8, 20), Point(0.85, 80), Point(0.86, 160)])
    assert answer(members).cost == 20
    assert [answer(members, target).cost for target in (5, 20, 79, 80, 10**9)] == [
        10,
        20,
        20,
        80,
        160,
    ]
