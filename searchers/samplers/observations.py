"""What a sampler learns from evaluations, and what of it is worth remembering."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from studies.pareto.front import Scored, front

EPOCHS = "epochs"
"""The user attribute of a trial that says how long it trains: accuracies of fewer are partial."""

S = TypeVar("S", bound=Scored)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler learns from an evaluation.

    Attributes:
        labels: that it would have had to choose.
        val_accuracy: after these `epochs`.
        cost: what the study makes small.
        epochs: stand in the trial's user attribute of that name.
    """

    labels: dict[str, str]
    val_accuracy: float
    cost: float
    epochs: int

    @property
    def values(self) -> list[float]:
        """The objectives, as the sampler sees them."""
        # Samplers weigh volumes: a factor of two in cost is worth as much anywhere on the front.
        return [self.val_accuracy, math.log10(self.cost)]


def memorable(observations: Sequence[S], count: int) -> list[S]:
    """That many observations, in order: half the fronts and the next ones, half the latest.

    Samplers tell good trials from the others, and need all of the good but few of the others.
    """
    latest = len(observations) - count // 2
    rest, best = list(range(latest)), list[int]()
    while rest and len(best) < count - count // 2:
        members = front(_Position(at, observations[at]) for at in rest)
        best += [member.at for member in members]
        rest = sorted(set(rest) - set(best))
    kept = sorted(best[: count - count // 2]) + list(range(latest, len(observations)))
    return [observations[at] for at in kept]


@dataclass(frozen=True, slots=True)
class _Position:
    """An observation by its place in a list, as `front` wants it."""

    at: int
    observation: Scored

    @property
    def val_accuracy(self) -> float | None:
        return self.observation.val_accuracy

    @property
    def cost(self) -> float:
        return self.observation.cost
