"""Modules that can compute their function in several ways, equal up to rounding."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

Way = Callable[[Tensor], Tensor]


class Planned(ABC):
    """What such a module is besides a `torch.nn.Module`.

    Parameters and their names are those of the definition, whatever the way. Ways are for training
    on plain tensors of a CPU (`nas_space.eager`); elsewhere there is the definition alone.

    Attributes:
        plan: the way to go, by name; None, and one that cannot serve, leave it to the rules.
    """

    plan: str | None = None

    @abstractmethod
    def ways(self, x: Tensor) -> dict[str, Way]:
        """The ways that serve this input, by name; first that which the rules choose."""

    def planned(self, x: Tensor) -> Tensor:
        """The output, computed the way that is planned."""
        ways = self.ways(x)
        return ways.get(self.plan or "", next(iter(ways.values())))(x)
