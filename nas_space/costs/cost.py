"""The cost of a network: parameters, and multiply-adds (MACs) per image.

MACs are those of convolutions and linear layers; papers print them as FLOPs. Normalisation,
activations, pooling and additions count as 0. `predict` is the closed form that a search uses
(microseconds); `nas_space.costs.counting` counts any module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nas_space.convs.base import Size
from nas_space.costs.operations import Tally


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a network: images (channels, height, width) and a number of classes."""

    channels: int
    size: Size
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a network.

    Costs are equal if parameters and MACs are: the others depend on how and where it runs.

    Attributes:
        params: how many trainable numbers it has.
        macs: multiply-adds per image.
        activation_memory: bytes, see `nas_space.spaces.residual.memory`; None if not counted.
        latency: predicted seconds for one image on a device; None if no device was measured.
        tally: of its operations, for devices; None if they are not known.
        more: costs of plugins, by the names of their objectives (`studies.objective`).
    """

    params: int
    macs: int
    activation_memory: int | None = field(default=None, compare=False)
    latency: float | None = field(default=None, compare=False)
    tally: Tally | None = field(default=None, compare=False)
    more: Mapping[str, float] = field(default_factory=dict, compare=False)


class Priced(Protocol):
    """Anything with a cost in closed form, such as an architecture."""

    def cost(self, task: Task) -> Cost:
        """See `nas_space.spaces.architecture.Architecture.cost`."""


def predict(architecture: Priced, task: Task) -> Cost:
    """Cost of the network that `build` would make, in closed form."""
    return architecture.cost(task)
