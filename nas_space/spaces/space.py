"""The contract of a search space: which architectures may be proposed, as lists of labels."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.cost import Task
from nas_space.errors import ConvnasError
from nas_space.spaces.architecture import Architecture

_MOST_CHANGES = 4
"""Labels that differ between a network and its mutant."""

Measure = Literal["macs", "params", "activation_memory"]

ChoiceCost = Callable[[Conv, int, int, Size, int], float]
"""What a choice costs in a layer of c_in, c_out, size of the input map, and stride."""

Labels = Mapping[str, str]
"""A label for each parameter of a space."""


class UnknownSpaceError(ConvnasError):
    """A name that belongs to no space, or a space that cannot be for such images."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One choice that a sampler makes, always present.

    Attributes:
        name: of the choice.
        labels: what may be chosen.
        ordered: whether neighbouring labels make similar networks, as levels of density do.
        widens: whether later labels make the same layers wider, so that they cost more.
    """

    name: str
    labels: tuple[str, ...]
    ordered: bool = False
    widens: bool = False

    def another(self, label: str, chance: random.Random) -> str:
        """A random label; of ordered ones it is a neighbour of the given one half of the times."""
        if not (self.ordered or self.widens) or chance.random() < 0.5:  # noqa: PLR2004 - a coin
            return chance.choice(self.labels)
        return self.step(label, chance.choice((-1, 1)))

    def step(self, label: str, by: int) -> str:
        """The label so many places behind a label, or the one at the end."""
        at = self.labels.index(label) + by
        return self.labels[min(max(at, 0), len(self.labels) - 1)]


class Space(ABC):
    """A finite set of architectures; a subclass is a frozen dataclass, for one skeleton.

    A layer has a type (its name) and a level (``.setting``), which picks among the settings of
    that type that fit the layer, from dense to sparse. Type and setting are separate parameters
    because samplers learn faster so (measured: docs/log.md).

    Attributes:
        name: as users type it.
        kinds: the types of convolution that a layer may have.
        measures: what its networks' costs say, in closed form.
    """

    __slots__ = ()
    measures: ClassVar[tuple[Measure, ...]]

    name: str
    kinds: tuple[str, ...]

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """What a sampler chooses; parameters with a single label are left out."""

    @abstractmethod
    def decode(self, labels: Labels) -> Architecture:
        """The architecture that these labels mean; absent ones mean their first label."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it.

        Labels without effect are drawn at random, seeded by the architecture's key, so that a
        sampler that learns from them sees no pattern there.
        """

    def mutated(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """Labels of a network that is near to another one, as evolution makes it."""
        changed = dict(labels)
        parameters = self.parameters
        for parameter in chance.sample(
            parameters, chance.randint(1, min(_MOST_CHANGES, len(parameters)))
        ):
            before = labels.get(parameter.name, parameter.labels[0])
            changed[parameter.name] = parameter.another(before, chance)
        return changed

    @abstractmethod
    def uniform(self) -> Iterator[Architecture]:
        """Networks of one type everywhere, to begin with; the first few are spread out."""

    def inverted(self) -> Iterator[Architecture]:
        """Inverted bottlenecks of each type, before and behind a 1×1 convolution, to begin with."""
        yield from ()

    @abstractmethod
    def by_hand(self) -> Iterator[Architecture]:
        """Networks that an engineer would choose without a search: the baselines to beat.

        Some may not be of the space.
        """

    def remark(self, task: Task) -> str | None:  # noqa: ARG002 - fits all unless it says so
        """A line for who searches it for a task that another space is made for; None if it fits."""
        return None

    @property
    @abstractmethod
    def sections(self) -> int:
        """The most sections that a network has, see `Architecture.sections`."""

    @abstractmethod
    def reference(self) -> Architecture:
        """A network that people know: without a limit, a search begins at costs up to its cost."""

    @abstractmethod
    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each dimension and each layer's convolution may take."""

    @abstractmethod
    def size(self) -> int:
        """How many different architectures the space holds."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """What a study keeps of it, of plain dicts, lists, numbers and strings."""

    @abstractmethod
    def smallest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture that has least of one of `measures`, exactly."""

    @abstractmethod
    def largest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture that has most of one of `measures`, exactly."""
