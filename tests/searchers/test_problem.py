"""What is searched: the extremes of its costs."""

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.residual import ResidualSpace
from searchers.latency.model import Accuracy, LatencyModel
from searchers.latency.obtaining import networks
from searchers.latency.parts import every_part
from searchers.limits import Limits
from searchers.problem import Problem
from studies import objective

TASK = Task(3, (9, 8), 10)
FEW = ResidualSpace("few", ("regular", "igc"), widths=((8,), (8, 16)), depths=(1,))


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
