"""The point on a front from which on more cost stops paying."""

import math
from collections.abc import Sequence

from studies.pareto.front import S, accuracy_of

_DIGITS = 9
"""A height of less is one of rounding: on the line, not above it."""


def knee(members: Sequence[S]) -> S:
    """The member of a front farthest above the line between its ends, costs on a log scale.

    Where none is above that line, it is the most accurate.
    """
    first, last = members[0], members[-1]
    rise = accuracy_of(last) - accuracy_of(first)
    run = math.log(last.cost / first.cost)

    def height(member: S) -> float:
        along = math.log(member.cost / first.cost) / run if run else 0.0
        above = (accuracy_of(member) - accuracy_of(first)) / rise if rise else 0.0
        return round(above - along, _DIGITS)

    return max(reversed(members), key=height)


def answer(members: Sequence[S], target: float | None = None) -> S:
    """The member of a front that a search is about: the knee, or the best within a target cost.

    Where all cost more than the target it is the cheapest.
    """
    if target is None:
        return knee(members)
    within = [member for member in members if member.cost <= target]
    return within[-1] if within else members[0]
