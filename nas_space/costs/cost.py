"""What a network costs: parameters, and multiply-adds (MACs) per image.

MACs are those of convolutions and linear layers, which is what the papers print as FLOPs.
Normalisation, activations, pooling and additions count nothing. `predict` is the closed form
that a search uses (microseconds); `nas_space.costs.counting` holds it to what thop measures.
"""

from dataclasses import dataclass, field
from typing import Protocol

from nas_space.convs.base import Size


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is for: images (channels, height, width) and a number of classes."""

    channels: int
    size: Size
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs.

    Costs are equal where parameters and MACs are: the others depend on how it is run, and where.

    Attributes:
        params: the number of trainable numbers.
        macs: multiply-adds per image.
        activation_memory: bytes, see `nas_space.spaces.residual.memory`; None if not counted.
        latency: predicted seconds for one image on a device; None where none was measured.
    """

    params: int
    macs: int
    activation_memory: int | None = field(default=None, compare=False)
    latency: float | None = field(default=None, compare=False)


class Priced(Protocol):
    """What has costs in closed form: an architecture."""

    def cost(self, task: Task) -> Cost:
        """See `nas_space.spaces.architecture.Architecture.cost`."""


def predict(architecture: Priced, task: Task) -> Cost:
    """Cost of the network that `build` would make, in closed form."""
    return architecture.cost(task)
