"""What a sampler learns from evaluations, and which of them it keeps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from studies.pareto.front import Scored, front

EPOCHS = "epochs"
"""The user attribute of a trial that holds its epochs: a partial training has fewer."""

S = TypeVar("S", bound=Scored)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler learns from an evaluation.

    Attributes:
        labels: that the sampler would have chosen for this network.
        val_accuracy: after these `epochs`.
        cost: what the study makes small.
        epochs: also the trial's user attribute `EPOCHS`.
    """

    labels: dict[str, str]
    val_accuracy: float
    cost: float
    epochs: int

    @property
    def values(self) -> list[float]:
        """The objectives, as the sampler sees them."""
        # Samplers compare volumes. With a logarithm, half the cost is worth the same everywhere.
        return [self.val_accuracy, math.log10(self.cost)]


def memorable(observations: Sequence[S], count: int) -> list[S]:
    """That many observations, in order: half are the best, front after front, half the latest.

    Samplers separate good trials from the others: they need all good ones but few of the others.
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
    """An observation with its position in a list, for `front`."""

    at: int
    observation: Scored

    @property
    def val_accuracy(self) -> float | None:
        return self.observation.val_accuracy

    @property
    def cost(self) -> float:
        return self.observation.cost
