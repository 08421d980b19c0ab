"""Which networks are worth having: pure functions of accuracies and one cost, such as MACs."""

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Scored(Protocol):
    """Anything with an accuracy (to make large) and a cost above 0 (to make small).

    Where the user's own function judges networks, its number stands in the place of accuracy.
    """

    @property
    def val_accuracy(self) -> float | None:
        """Share of validation images that are classified correctly; None if it failed."""

    @property
    def cost(self) -> float:
        """What the study makes small, see `studies.objective`."""


S = TypeVar("S", bound=Scored)


def front(scored: Iterable[S]) -> list[S]:
    """The Pareto front, by ascending cost (and so by ascending accuracy).

    No other entry dominates a member: none costs less with at least its accuracy, or costs the same
    with more accuracy. Of equals the first stays. Entries without an accuracy are left out.
    """
    best: list[S] = []
    ranked = sorted(_finished(scored), key=lambda pair: (pair[1].cost, -pair[0]))
    for accuracy, entry in ranked:
        if not best or accuracy > accuracy_of(best[-1]):
            best.append(entry)
    return best


def near_front(scored: Iterable[S], below: float) -> list[S]:
    """Those that no entry of at most their cost exceeds by more than `below`, by ascending cost."""
    near: list[S] = []
    best = -math.inf
    for accuracy, entry in sorted(_finished(scored), key=lambda pair: (pair[1].cost, -pair[0])):
        best = max(best, accuracy)
        if accuracy >= best - below:
            near.append(entry)
    return near


def ranked(scored: Iterable[S]) -> list[S]:
    """All that have an accuracy, the best first: front after front.

    The first front is that of all, the second that of the rest, and so on. In a front the two ends
    come first, then those whose neighbours are farthest apart, in accuracy and in cost on a log
    scale (NSGA-II's non-dominated sorting and crowding distance: Deb et al., IEEE Transactions on
    Evolutionary Computation 6, 2002).
    """
    fronts: list[list[S]] = []
    # For each front, minus the accuracy of its last member: these ascend.
    lasts: list[float] = []
    for accuracy, entry in sorted(_finished(scored), key=lambda pair: (pair[1].cost, -pair[0])):
        at = bisect.bisect_right(lasts, -accuracy)
        if at == len(fronts):
            fronts.append([])
            lasts.append(0.0)
        fronts[at].append(entry)
        lasts[at] = -accuracy
    return [entry for members in fronts for entry in _spread(members)]


def _spread(members: Sequence[S]) -> list[S]:
    """The members of a front by their crowding distance, the largest first."""
    if len(members) < 3:  # noqa: PLR2004 - both are ends
        return list(reversed(members))
    costs = [math.log(member.cost) for member in members]
    accuracies = [accuracy_of(member) for member in members]
    run, rise = costs[-1] - costs[0], accuracies[-1] - accuracies[0]
    room = [math.inf] * len(members)
    for at in range(1, len(members) - 1):
        room[at] = (costs[at + 1] - costs[at - 1]) / run
        room[at] += (accuracies[at + 1] - accuracies[at - 1]) / rise
    order = sorted(range(len(members)), key=lambda at: -room[at])
    return [members[at] for at in order]


def _finished(scored: Iterable[S]) -> Iterable[tuple[float, S]]:
    return ((s.val_accuracy, s) for s in scored if s.val_accuracy is not None)


def accuracy_of(member: Scored) -> float:
    """The accuracy of a member of a front; every member has one."""
    assert member.val_accuracy is not None  # noqa: S101 - fronts hold finished ones only
    return member.val_accuracy
