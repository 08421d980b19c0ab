"""Which hand-designed networks a search trains."""

from dataclasses import dataclass

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from nas_space.spaces.residual.families import FAMILIES
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers.baselines import Baselines
from studies.pareto.front import front
from studies.pareto.knee import answer

TASK = Task(channels=1, size=(8, 8), classes=10)


def problem(target: float | None = None, limits: Limits | None = None) -> Problem:
    return Problem(get("mixed"), TASK, limits or Limits(), target=target)


@dataclass(frozen=True)
class Scored:
    val_accuracy: float | None
    cost: float


@pytest.mark.parametrize(
    ("budget", "opening", "closing"),
    [(1, 0, 0), (11, 0, 0), (12, 1, 1), (24, 2, 2), (60, 5, 2), (144, 12, 2), (5000, 12, 2)],
)
def test_there_is_one_for_twelve_full_trainings_and_two_at_the_end(
    budget: int, opening: int, closing: int
) -> None:
    found = Baselines(problem(), budget)
    assert (len(found.opening), found.closing) == (opening, closing)
    assert all(architecture.by_hand for architecture in found.opening)
    assert len({architecture.key for architecture in found.opening}) == opening


def test_each_family_has_its_turn_before_another_one_is_there_twice() -> None:
    names = [architecture.by_hand for architecture in Baselines(problem(), 5000).opening]
    families = {family.name for family in FAMILIES}
    assert set(names) == families
    assert len(names) == len(families)


def test_they_are_spread_over_the_costs_that_a_search_attends_to() -> None:
    whole = problem()
    costs = sorted(whole.cost(architecture).macs for architecture in Baselines(whole, 96).opening)
    low, high = whole.span
    assert len(costs) == 8
    assert costs[0] < low * (high / low) ** 0.3
    assert costs[-1] > low * (high / low) ** 0.7
    near = problem(target=2_000_000)
    aimed = [near.cost(architecture).macs for architecture in Baselines(near, 96).opening]
    assert all(500_000 < macs < 8_000_000 for macs in aimed)


def test_none_is_beyond_the_limits() -> None:
    limits = Limits(macs=500_000, params=20_000)
    limited = problem(limits=limits)
    found = Baselines(limited, 5000)
    beside = found.beside([Scored(0.9, 10**9)])
    assert 3 < len(found.opening) <= len(beside)
    assert all(limits.excess(limited.cost(network)) == 0 for network in beside)
    assert all(limits.excess(limited.cost(network)) == 0 for network in found.opening)


def test_limits_that_no_hand_designed_network_keeps_leave_none() -> None:
    smallest = get("mixed").smallest(TASK)
    limits = Limits(macs=problem().cost(smallest).macs)
    found = Baselines(problem(limits=limits), 5000)
    assert found.opening == found.beside([Scored(0.5, limits.macs or 0)]) == []


SCORES = [Scored(0.3, 50_000), Scored(0.8, 300_000), Scored(0.82, 2_000_000), Scored(0.1, 9e6)]


@pytest.mark.parametrize("target", [None, 1_000_000.0, 3_000_000.0])
def test_those_beside_what_was_found_cost_no_more_and_the_nearest_is_first(
    target: float | None,
) -> None:
    whole = problem(target)
    found = Baselines(whole, 24)
    most = answer(front(SCORES), target).cost
    assert most == (2_000_000 if target == 3_000_000 else 300_000)
    costs = [whole.cost(network).macs for network in found.beside(SCORES)]
    assert costs == sorted(costs, reverse=True)
    affordable = [whole.cost(a).macs for a in whole.space.by_hand() if whole.cost(a).macs <= most]
    assert sorted(costs) == sorted(affordable)
    assert costs


def test_there_are_none_beside_nothing() -> None:
    assert Baselines(problem(), 24).beside([]) == []
    assert Baselines(problem(), 24).beside([Scored(None, 1.0)]) == []


def keys(networks: list[Architecture]) -> list[str]:
    return [network.key for network in networks]


def test_they_are_the_same_each_time() -> None:
    assert keys(Baselines(problem(), 96).opening) == keys(Baselines(problem(), 96).opening)
