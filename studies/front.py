"""Which networks are worth having: pure functions of accuracies and MACs."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Scored(Protocol):
    """Anything with an accuracy, to be large, and a number of MACs, to be small."""

    @property
    def val_accuracy(self) -> float | None:
        """Share of validation images classified right; None if it failed."""

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""


S = TypeVar("S", bound=Scored)


def front(scored: Iterable[S]) -> list[S]:
    """The Pareto front, by ascending MACs (and so by ascending accuracy).

    A member is dominated by none: nothing has fewer MACs and at least its accuracy, or equal MACs
    and more accuracy. Of equals the first stays. Entries without an accuracy take no part.
    """
    best: list[S] = []
    ranked = sorted(_finished(scored), key=lambda pair: (pair[1].macs, -pair[0]))
    for accuracy, entry in ranked:
        if not best or accuracy > _accuracy(best[-1]):
            best.append(entry)
    return best


def hypervolume(scored: Iterable[Scored], bounds: tuple[int, int]) -> float:
    """Share of the box that is dominated: accuracy from 0 to 1, MACs on a log scale in bounds.

    Args:
        scored: the evaluations; only their front matters.
        bounds: MACs of the smallest and the largest network of the space.
    """
    low, high = (math.log(bound) for bound in bounds)
    members = front(scored)
    edges = [*(min(max(math.log(member.macs), low), high) for member in members), high]
    widths = (after - before for before, after in itertools.pairwise(edges))
    area = sum(_accuracy(member) * width for member, width in zip(members, widths, strict=True))
    return area / (high - low) if high > low else 0.0


def knee(members: Sequence[S]) -> S:
    """The member of a front farthest above the line between its ends, MACs on a log scale."""
    first, last = members[0], members[-1]
    rise = _accuracy(last) - _accuracy(first)
    run = math.log(last.macs / first.macs)

    def height(member: S) -> float:
        along = math.log(member.macs / first.macs) / run if run else 0.0
        above = (_accuracy(member) - _accuracy(first)) / rise if rise else 0.0
        return above - along

    return max(members, key=height)


def _finished(scored: Iterable[S]) -> Iterable[tuple[float, S]]:
    return ((s.val_accuracy, s) for s in scored if s.val_accuracy is not None)


def _accuracy(member: Scored) -> float:
    assert member.val_accuracy is not None  # noqa: S101 - fronts hold finished ones only
    return member.val_accuracy
