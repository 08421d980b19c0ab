"""What a network is, as a value: comparable, hashable, JSON, with a stable key."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.cost import Cost, Task
from nas_space.errors import ConvnasError

FORMAT = 1
"""Version of the JSON form. Older forms stay readable."""


class InvalidArchitectureError(ConvnasError):
    """A text that is no architecture, or an architecture that cannot be built."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution of an architecture in its place.

    Attributes:
        name: its place, e.g. ``stage1.block2.conv1``.
        conv: the choice.
        c_in: input channels; None for the image's own.
        c_out: output channels.
        stride: 1 or 2.
    """

    name: str
    conv: Conv
    c_in: int | None
    c_out: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Rest:
    """What an architecture has beside its convolutions.

    Attributes:
        name: as people know it.
        what: it is.
        channels: in and out.
        macs: multiply-adds for one image.
        params: weights, without normalisation.
    """

    name: str
    what: str
    channels: tuple[int, int]
    macs: int
    params: int


class Architecture(ABC):
    """A network as an immutable value; a subclass is a skeleton, a frozen dataclass of its own.

    The image's channels and the number of classes are the task's, not the architecture's.

    `nas_space.spaces.skeletons` reads the JSON form of any skeleton.

    Attributes:
        skeleton: the name of the skeleton in JSON, and in the registries of skeletons.
        legend: how to read one as a line of text.
    """

    __slots__ = ()
    skeleton: ClassVar[str]
    legend: ClassVar[str]

    @abstractmethod
    def layers(self) -> Iterator[Layer]:
        """The convolutions that can be chosen, and a stem that reads the image, in order."""

    @abstractmethod
    def sizes(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """Each layer with the height and width of its input map, for images of that size."""

    @abstractmethod
    def convolutions(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """As `sizes`, with the convolutions between them that are no choice."""

    @abstractmethod
    def sections(self) -> Iterator[tuple[Layer, ...]]:
        """The layers that can be chosen, in groups of those that are alike; none is empty.

        Networks of a space have up to `Space.sections`, and those of one space that have fewer lack
        the last ones.
        """

    def beginning(self) -> tuple[float, ...]:
        """Numbers that tell how the network reads the image; of a space all have as many."""
        return 0.0, 0.0

    def traits(self) -> Iterator[tuple[float, float]]:
        """Two numbers for each section: what tells it from one of the same layers."""
        return ((0.0, 0.0) for _ in self.sections())

    @abstractmethod
    def dimensions(self) -> dict[str, str]:
        """What can be chosen beside convolutions, as labels by name."""

    @abstractmethod
    def rest(self, task: Task) -> Rest:
        """All that has weights beside `convolutions`, but for normalisation."""

    @abstractmethod
    def cost(self, task: Task) -> Cost:
        """What the network of `nas_space.spaces.building.build` costs, without building it.

        Raises:
            InvalidArchitectureError: the architecture is for images of another size.
        """

    @abstractmethod
    def check(self, channels: int, classes: int) -> None:
        """See whether the network can be for images of so many channels, in so many classes.

        Raises:
            InvalidArchitectureError, InvalidChoiceError: it cannot; the message says why.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The JSON form, of plain dicts, lists, numbers and strings, with format and skeleton."""

    @classmethod
    @abstractmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Read the JSON form of this skeleton.

        Raises:
            InvalidArchitectureError: it is none.
        """

    @property
    def code(self) -> str | None:
        """Whose code beside that of our libraries building it runs, ``module:function``."""
        return None

    def bare(self) -> "Architecture":
        """The same network as one whose weights are not fetched from anywhere to build it."""
        return self

    @property
    def by_hand(self) -> str | None:
        """What an engineer would call this network; None if no rule of thumb leads to it."""
        return None

    @property
    def text(self) -> str:
        """The JSON form as canonical text: equal architectures have equal texts."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))

    @property
    def key(self) -> str:
        """Twelve hex digits that name this architecture in databases and tables."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def is_whole(data: object) -> bool:
    """Whether something of JSON is a whole number."""
    return isinstance(data, int) and not isinstance(data, bool)
