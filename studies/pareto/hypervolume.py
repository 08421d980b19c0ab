"""How good a whole front is, as one number."""

import itertools
import math
from collections.abc import Iterable

from studies.pareto.front import Scored, accuracy_of, front


def hypervolume(scored: Iterable[Scored], bounds: tuple[float, float], floor: float = 0.0) -> float:
    """The dominated share of a box: accuracy from 0 to 1, cost on a log scale between the bounds.

    It is the mean of the best accuracy that a network of at most such a cost has, over all costs.

    Args:
        scored: the evaluations; only their front matters.
        bounds: costs of the cheapest and the dearest network of the space.
        floor: what counts as 0, of numbers other than accuracy, see `Metric.floor`.
    """
    low, high = (math.log(bound) for bound in bounds)
    members = front(scored)
    edges = [*(min(max(math.log(member.cost), low), high) for member in members), high]
    widths = (after - before for before, after in itertools.pairwise(edges))
    heights = (max(0.0, accuracy_of(member) - floor) for member in members)
    area = sum(height * width for height, width in zip(heights, widths, strict=True))
    return area / (high - low) if high > low else 0.0
