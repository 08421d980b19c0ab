"""Which hand-designed networks a search trains: the baselines that it has to beat."""

import math
from collections.abc import Iterable

from nas_space.spaces.architecture import Architecture
from searchers.problem import Problem
from studies.pareto.front import Scored, front
from studies.pareto.knee import answer

_TRAININGS_A_BASELINE = 12
"""Full trainings of the budget for each baseline."""
_MOST_OPENING = 12
_MOST_CLOSING = 2


class Baselines:
    """The hand-designed networks of a search, and when they are trained.

    Args:
        problem: what is searched.
        budget: of the search, in full trainings.

    Attributes:
        opening: trained first, spread over costs as the search's attention is. One of each family
            comes before a second one of any.
        closing: how many are trained last, beside what was found.
    """

    def __init__(self, problem: Problem, budget: int) -> None:
        self._problem = problem
        price = problem.objective.of
        self._known = [(price(cost), architecture) for cost, architecture in problem.by_hand]
        self.closing = min(_MOST_CLOSING, budget // _TRAININGS_A_BASELINE)
        self.opening = self._spread(min(_MOST_OPENING, budget // _TRAININGS_A_BASELINE))

    def beside(self, scored: Iterable[Scored]) -> list[Architecture]:
        """Hand-designed networks to compare with what was found, the nearest first.

        Those of at most the cost of the network that the search is about: the knee, or the best
        below the target.
        """
        members = front(scored)
        if not members:
            return []
        cost = answer(members, self._problem.target).cost
        cheaper = [pair for pair in self._known if pair[0] <= cost]
        return [architecture for _, architecture in sorted(cheaper, key=lambda pair: -pair[0])]

    def _spread(self, count: int) -> list[Architecture]:
        chosen: list[tuple[float, Architecture]] = []
        for cost in self._problem.spread(count):
            names = [architecture.by_hand for _, architecture in chosen]
            left = [pair for pair in self._known if pair not in chosen]
            if not left:
                break
            fewest = min(names.count(architecture.by_hand) for _, architecture in left)
            fresh = [pair for pair in left if names.count(pair[1].by_hand) == fewest]
            chosen.append(_nearest(fresh, math.log(cost)))
        return [architecture for _, architecture in chosen]


def _nearest(known: list[tuple[float, Architecture]], target: float) -> tuple[float, Architecture]:
    """Of the first family that comes within a factor of 2 of the cost, the nearest."""
    near = [pair for pair in known if abs(math.log(pair[0]) - target) < math.log(2)]
    family = near[0][1].by_hand if near else None
    of_family = [pair for pair in near if pair[1].by_hand == family]
    return min(of_family or known, key=lambda pair: abs(math.log(pair[0]) - target))
