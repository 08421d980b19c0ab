"""The skeleton of the IGC paper's CIFAR and SVHN networks.

Source: Zhang, Qi, Xiao, Wang, *Interleaved Group Convolutions for Deep Neural Networks*, ICCV 2017,
arXiv 1707.02725, and the authors' code (``network/plain*.py`` and ``network/resnet*.py``).

Three stages of widths W, 2W, 4W on maps of 32, 16 and 8 pixels; the first convolution of stages 2
and 3 has stride 2. Every convolution is without bias and followed by BN and ReLU; then global
average pooling and a linear classifier. Depth D = 3n + 2 counts a block of any kind as one layer.
With identity shortcuts (``-ident``) two blocks make a residual unit.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import nn

from nas_space.convs import Conv, InvalidChoiceError
from nas_space.papers._blocks import Sum, classify, shortcut
from nas_space.papers.base import PaperNetwork, Shape, UnknownNetworkError

TAIL = r"-d(?P<depth>[0-9]{1,3})(?P<ident>-ident)?(?:-c(?P<classes>[0-9]{1,6}))?"
"""Ends the pattern of a name; before it come groups named like the subclass's fields."""


@dataclass(frozen=True, kw_only=True)
class CifarNetwork(PaperNetwork):
    """The skeleton; a subclass says what its blocks are.

    Attributes:
        depth: D = 3n + 2 layers that have weights; D = 6n + 2 with identity shortcuts.
        ident: whether two blocks make a residual unit.
        classes: of the classifier.
    """

    paper: ClassVar[str] = "Zhang et al., Interleaved Group Convolutions, arXiv 1707.02725"

    depth: int
    ident: bool = False
    classes: int = 10

    def __post_init__(self) -> None:
        """Refuse depths that do not fill three equal stages."""
        step = 6 if self.ident else 3
        if self.depth < step + 2 or (self.depth - 2) % step:
            kind = "with" if self.ident else "without"
            raise UnknownNetworkError(
                f"a network {kind} identity shortcuts has {step}n + 2 layers, not {self.depth}"
            )
        if min(self.classes, self.stem_width) < 1:
            raise UnknownNetworkError("a network needs at least 1 channel and 1 class")

    @property
    @abstractmethod
    def label(self) -> str:
        """The name without depth, shortcuts and classes."""

    @property
    @abstractmethod
    def stem_width(self) -> int:
        """Channels of the stem and of stage 1."""

    @abstractmethod
    def block(self, c_in: int, c_out: int) -> nn.Module:
        """What one layer is; its stride is 2 where the width changes."""

    @property
    def shortcut_groups(self) -> int:
        """Groups of the 1×1 convolution of a shortcut that changes the width."""
        return 1

    @property
    def name(self) -> str:
        """E.g. ``igc-l4m8-d20-ident-c100``; 10 classes go without saying."""
        classes = "" if self.classes == 10 else f"-c{self.classes}"  # noqa: PLR2004 - CIFAR-10
        return f"{self.label}-d{self.depth}{'-ident' if self.ident else ''}{classes}"

    @property
    def shape(self) -> Shape:
        """CIFAR's and SVHN's images."""
        return 3, 32, 32

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`: every group of the pattern is a field."""
        numbers = {name: text for name, text in parts.items() if text and name != "ident"}
        fields: dict[str, Any] = {name: int(text) for name, text in numbers.items()}
        return cls(**fields, ident=bool(parts["ident"]))

    @classmethod
    def members(cls, **fields: int) -> Iterator[Self]:
        """The paper's depths, without and with shortcuts, for CIFAR-10 and CIFAR-100."""
        for classes, ident, depth in itertools.product((10, 100), (False, True), (20, 38, 62)):
            yield cls(depth=depth, ident=ident, classes=classes, **fields)

    def module(self) -> nn.Module:
        """Stem, three stages, pool, classifier."""
        c_in = width = self.stem_width
        first = nn.Conv2d(3, width, 3, padding=1, bias=False)
        layers = [nn.Sequential(first, self._norm(width), nn.ReLU())]
        for c_out in (width, 2 * width, 4 * width):
            for _ in range((self.depth - 2) // (6 if self.ident else 3)):
                layers.append(self._unit(c_in, c_out) if self.ident else self._layer(c_in, c_out))
                c_in = c_out
        return nn.Sequential(*layers, classify(c_in, self.classes))

    def _layer(self, c_in: int, c_out: int) -> nn.Sequential:
        return nn.Sequential(self.block(c_in, c_out), self._norm(c_out), nn.ReLU())

    def _unit(self, c_in: int, c_out: int) -> nn.Sequential:
        deep = nn.Sequential(self._layer(c_in, c_out), self.block(c_out, c_out), self._norm(c_out))
        line = shortcut(c_in, c_out, 2, self._norm, groups=self.shortcut_groups)
        return nn.Sequential(Sum(deep, line), nn.ReLU())

    def _norm(self, channels: int) -> nn.BatchNorm2d:
        # MXNet's momentum of .99 (plain) and .9 (residual) is what remains of the old statistics.
        return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1 if self.ident else 0.01)


@dataclass(frozen=True, kw_only=True)
class ChosenCifarNetwork(CifarNetwork):
    """A network all of whose blocks are one choice of convolution, at the width it has there."""

    def __post_init__(self) -> None:
        """Refuse widths that the choice cannot serve."""
        super().__post_init__()
        first, *more = (self.stem_width * 2**stage for stage in range(3))
        entered = itertools.pairwise((first, *more))
        for c_in, c_out in ((first, first), *entered, *((width, width) for width in more)):
            try:
                self.conv(c_in, c_out).check(c_in, c_out)
            except InvalidChoiceError as error:
                raise UnknownNetworkError(str(error)) from None

    @abstractmethod
    def conv(self, c_in: int, c_out: int) -> Conv:
        """The choice that maps c_in to c_out channels."""

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """The choice's module, the same that a search builds."""
        return self.conv(c_in, c_out).build(c_in, c_out, 1 if c_in == c_out else 2)


@dataclass(frozen=True, kw_only=True)
class WideCifarNetwork(ChosenCifarNetwork):
    """A network that is told by the width of its first stage.

    Attributes:
        width: channels of stage 1.
    """

    width: int

    @property
    def stem_width(self) -> int:
        """The width of stage 1."""
        return self.width
