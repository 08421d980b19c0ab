"""What a search is worth: its networks beside the hand-designed ones that it trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nas_space.spaces.architecture import Architecture
from nas_space.tables import Long
from studies.objective import Objective
from studies.pareto.front import Scored, accuracy_of, front
from studies.pareto.knee import answer
from trainers.intervals import between_shares
from trainers.metrics import ACCURACY, Metric


class Trained(Scored, Protocol):
    """A full training: an evaluation, or what a model expects of one."""

    @property
    def number(self) -> int:
        """The number of the trial."""

    @property
    def parsed_architecture(self) -> Architecture:
        """The network."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The answer of a search beside the best hand-designed network that costs no more.

    Attributes:
        found: the network that the search is about.
        by_hand: None if no hand-designed network of at most its cost was trained to the end.
        images: of the validation split; None if unknown.
        target: the cost that the search was about; None is all costs.
        metric: what the search made large.
    """

    found: Trained
    by_hand: Trained | None
    images: int | None = None
    target: float | None = None
    metric: Metric = ACCURACY

    @property
    def value(self) -> float | None:
        """By how much the found network is better."""
        if self.by_hand is None:
            return None
        return accuracy_of(self.found) - accuracy_of(self.by_hand)

    @property
    def half(self) -> float | None:
        """Half the 95 % interval of `value` that the number of images alone gives an accuracy."""
        if self.by_hand is None or self.images is None or not self.metric.is_accuracy:
            return None
        shares = accuracy_of(self.found), accuracy_of(self.by_hand)
        return between_shares(*shares, self.images)

    def told(self, objective: Objective) -> str:
        """A sentence about it."""
        cost = f"{objective.write(self.found.cost)} {objective.heading}"
        place = "knee" if self.target is None else f"best within {objective.write(self.target)}"
        beginning = f"the {place}, trial {self.found.number}, {cost}"
        if self.by_hand is self.found:
            name = self.found.parsed_architecture.by_hand
            return f"{beginning}, is a hand-designed network ({name}): the search found none better"
        if self.by_hand is None or self.value is None:
            return (
                f"{beginning}, is not compared: no hand-designed network of at most its cost was "
                "trained to the end"
            )
        other = self.by_hand
        name = other.parsed_architecture.by_hand
        write = self.metric.write
        return (
            f"{beginning}: {write(self.found.val_accuracy, 1)}; best by hand within that cost: "
            f"{name}, trial {other.number}, {objective.write(other.cost)}: "
            f"{write(other.val_accuracy, 1)}; gain {self._gain(self.value)}"
        )

    def _gain(self, value: float) -> str:
        if not self.metric.is_share:
            return self.metric.difference(value)
        interval = "" if self.half is None else f" ± {100 * self.half:.1f}"
        return f"{100 * value:+.1f}{interval} points"


def gain(
    complete: Sequence[Trained],
    images: int | None = None,
    target: float | None = None,
    metric: Metric = ACCURACY,
) -> Gain | None:
    """The gain at the knee of a front, or below a target; None if nothing was trained to the end.

    Args:
        complete: full trainings of a study, by measured or by expected accuracy.
        images: of the validation split.
        target: the cost that the search was about.
        metric: what the search made large.
    """
    members = front(complete)
    if not members:
        return None
    found = answer(members, target)
    hand = [
        entry
        for entry in complete
        if entry.val_accuracy is not None
        and entry.cost <= found.cost
        and entry.parsed_architecture.by_hand is not None
    ]
    best = max(hand, key=accuracy_of, default=None)
    return Gain(found, best, images, target, metric)


def caption(architecture: Architecture) -> str:
    """The architecture as a line, which says so where it is hand-designed."""
    name = architecture.by_hand
    return f"by hand: {name}; {architecture}" if name else str(architecture)


def cell(architecture: Architecture) -> Long:
    """The architecture in a table."""
    name = architecture.by_hand
    return Long(caption(architecture), f"by hand: {name}" if name else "")
