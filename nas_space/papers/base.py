"""The contract of a named network: a paper's network as a value, beside the paper's figures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

import torch
from torch import nn

from nas_space.errors import ConvnasError
from nas_space.papers.counts import Counts, measure
from nas_space.weights import initialise

Shape = tuple[int, ...]
"""Of one input, without the batch: (channels, height, width), for clips (channels, frames, …)."""

_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}


class UnknownNetworkError(ConvnasError):
    """A name that belongs to no network, or one whose numbers make no network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that somebody published about a network.

    Attributes:
        printed: as printed, with its unit: ``17.7M``, ``966986``.
        counted: what was counted; the convention that fits, where the source does not say.
        source: where it is printed.
        gap: why it cannot be reproduced; empty if it is.
    """

    printed: str
    counted: "Counting"
    source: str
    gap: str = ""

    def agrees(self, network: "PaperNetwork") -> bool:
        """Whether our number, rounded to the printed digits, is the printed one."""
        unit = _UNITS.get(self.printed[-1], 1)
        digits = self.printed.rstrip("kMG")
        decimals = len(digits.partition(".")[2])
        return round(self.counted.count(network) / unit, decimals) == float(digits)


@dataclass(frozen=True, kw_only=True)
class PaperNetwork(ABC):
    """A network of a paper, as a value: equal values build equal networks.

    A subclass is one family, in a file of its own; its fields are what the paper varies.

    Attributes:
        paper: where the family is defined.
        pattern: a regular expression that the family's names match, with a group for each part.
    """

    paper: ClassVar[str]
    pattern: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """The one spelling of this network, as users type it."""

    @property
    def shape(self) -> Shape:
        """The input that its figures are counted for; ImageNet's images, if not another."""
        return 3, 224, 224

    @classmethod
    @abstractmethod
    def catalogue(cls) -> Iterator[Self]:
        """The members that the papers give figures for, or that the list should show."""

    @classmethod
    @abstractmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """The member whose name matched `pattern` with these groups.

        Raises:
            UnknownNetworkError: the numbers in the name make no network.
        """

    @abstractmethod
    def module(self) -> nn.Module:
        """The module, with whatever weights torch gives it; users call `build`."""

    def figures(self) -> tuple[Figure, ...]:
        """What has been published about this member."""
        return ()

    def build(self, *, seed: int = 0) -> nn.Module:
        """Make the network, initialised as the searched ones are.

        It maps (N, *shape) to logits (N, classes). The global random state stays as it was.
        """
        with torch.random.fork_rng(devices=()):
            module = self.module()
        initialise(module, torch.Generator().manual_seed(seed))
        return module

    def counts(self) -> Counts:
        """Parameters and multiply-adds, layer by layer."""
        return _counts(self)


@dataclass(frozen=True, kw_only=True)
class OnlyMember(PaperNetwork):
    """A family of one network, whose name is its pattern."""

    @property
    def name(self) -> str:
        """The one name."""
        return self.pattern

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The one member."""
        yield cls()

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:  # noqa: ARG003 - none
        """See `PaperNetwork.from_parts`."""
        return cls()


@cache
def _counts(network: PaperNetwork) -> Counts:
    # On the device meta no memory is taken and nothing is computed.
    with torch.device("meta"):
        module = network.module()
    return measure(module, network.shape)


@dataclass(frozen=True, slots=True)
class Counting:
    """A convention: papers print different things under one name.

    Attributes:
        label: what is counted, as people write it.
        count: our number for a network under this convention.
    """

    label: str
    count: Callable[[PaperNetwork], int]


PARAMS = Counting("parameters", lambda n: n.counts().params)
PARAMS_WITHOUT_NORM = Counting(
    "parameters without BN", lambda n: n.counts().params - n.counts().norm_params
)
PARAMS_WITHOUT_CLASSIFIER = Counting(
    "parameters without classifier",
    lambda n: n.counts().params - n.counts().classifier_params,
)
MACS = Counting("MACs", lambda n: n.counts().macs)
MACS_AND_BIASES = Counting("MACs and 1 a bias", lambda n: n.counts().macs + n.counts().biases)
