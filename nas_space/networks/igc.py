"""The CIFAR and SVHN networks of interleaved group convolutions, and what they are compared with.

Source: Zhang, Qi, Xiao, Wang, *Interleaved Group Convolutions for Deep Neural Networks*, ICCV 2017,
arXiv 1707.02725, and the authors' code (``network/plain*.py`` and ``network/resnet*.py``).

Three stages of widths W, 2W, 4W on maps of 32, 16 and 8 pixels; the first convolution of stages 2
and 3 has stride 2. Every convolution is without bias and followed by BN and ReLU; then global
average pooling and a linear classifier. Depth D = 3n + 2 counts a block of any kind as one layer.
With identity shortcuts (``-ident``) two blocks make a residual unit.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor, nn

from nas_space.convs import Conv
from nas_space.convs.deep_roots import DeepRoots
from nas_space.convs.igc import IGC
from nas_space.convs.regular import Regular
from nas_space.convs.xception import Xception
from nas_space.networks._blocks import Sum
from nas_space.networks.base import PARAMS_WITHOUT_NORM, Figure, Network, Shape, UnknownNetworkError

CIFAR_TAIL = r"-d(?P<depth>\d{1,4})(?P<ident>-ident)?(?:-c(?P<classes>\d{1,6}))?"
_DEPTHS = (20, 38, 62)
_TABLE_7 = "IGC paper (arXiv 1707.02725), Table 7"


@dataclass(frozen=True, kw_only=True)
class CifarNetwork(Network):
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

    def module(self) -> nn.Module:
        """Stem, three stages, pool, classifier."""
        width = self.stem_width
        first = nn.Conv2d(3, width, 3, padding=1, bias=False)
        layers = [nn.Sequential(first, self._norm(width), nn.ReLU())]
        c_in = width
        for c_out in (width, 2 * width, 4 * width):
            for _ in range((self.depth - 2) // (6 if self.ident else 3)):
                layers.append(self._unit(c_in, c_out) if self.ident else self._layer(c_in, c_out))
                c_in = c_out
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, self.classes)
        )

    def _layer(self, c_in: int, c_out: int) -> nn.Sequential:
        return nn.Sequential(self.block(c_in, c_out), self._norm(c_out), nn.ReLU())

    def _unit(self, c_in: int, c_out: int) -> nn.Sequential:
        deep = nn.Sequential(self._layer(c_in, c_out), self.block(c_out, c_out), self._norm(c_out))
        shortcut: nn.Module = nn.Identity()
        if c_in != c_out:
            line = nn.Conv2d(c_in, c_out, 1, 2, groups=self.shortcut_groups, bias=False)
            shortcut = nn.Sequential(line, self._norm(c_out))
        return nn.Sequential(Sum(deep, shortcut), nn.ReLU())

    def _norm(self, channels: int) -> nn.BatchNorm2d:
        # MXNet's momentum of .99 (plain) and .9 (residual) is what remains of the old statistics.
        return nn.BatchNorm2d(channels, eps=2e-5, momentum=0.1 if self.ident else 0.01)


def read_tail(parts: Mapping[str, str | None]) -> tuple[int, bool, int]:
    """Depth, shortcuts and classes of a name that matched `CIFAR_TAIL`."""
    return int(parts["depth"] or 0), bool(parts["ident"]), int(parts["classes"] or 10)


def _number(parts: Mapping[str, str | None], name: str) -> int:
    return int(parts[name] or 0)


@dataclass(frozen=True, kw_only=True)
class ChosenCifarNetwork(CifarNetwork):
    """A network all of whose blocks are one choice of convolution, at the width it has there."""

    @abstractmethod
    def conv(self, c_in: int, c_out: int) -> Conv:
        """The choice that maps c_in to c_out channels."""

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """The choice's module, the same that a search builds."""
        conv = self.conv(c_in, c_out)
        conv.check(c_in, c_out)
        return conv.build(c_in, c_out, 1 if c_in == c_out else 2)


@dataclass(frozen=True, kw_only=True)
class RegConv(ChosenCifarNetwork):
    """RegConv-W: every block is a regular 3×3 convolution.

    Attributes:
        width: channels of stage 1.
    """

    pattern: ClassVar[str] = r"regconv-w(?P<width>\d{1,4})" + CIFAR_TAIL

    width: int

    @property
    def label(self) -> str:
        """E.g. ``regconv-w16``."""
        return f"regconv-w{self.width}"

    @property
    def stem_width(self) -> int:
        """The width of stage 1."""
        return self.width

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A regular convolution."""
        return Regular()

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """W16 and W18."""
        for width in (16, 18):
            for depth, ident, classes in _members():
                yield cls(width=width, depth=depth, ident=ident, classes=classes)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `Network.from_parts`."""
        depth, ident, classes = read_tail(parts)
        return cls(width=_number(parts, "width"), depth=depth, ident=ident, classes=classes)


@dataclass(frozen=True, kw_only=True)
class Partitioned(CifarNetwork):
    """A network of L primary partitions, whose channels M double from stage to stage.

    Attributes:
        L: primary partitions.
        M: channels of a primary partition in stage 1.
    """

    L: int
    M: int

    @property
    def stem_width(self) -> int:
        """L·M."""
        return self.L * self.M

    @property
    def shortcut_groups(self) -> int:
        """One for each primary partition, as in the authors' ``resnet_igc.py``."""
        return self.L

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `Network.from_parts`."""
        depth, ident, classes = read_tail(parts)
        partitions, channels = _number(parts, "L"), _number(parts, "M")
        return cls(L=partitions, M=channels, depth=depth, ident=ident, classes=classes)


@dataclass(frozen=True, kw_only=True)
class IGCNetwork(Partitioned, ChosenCifarNetwork):
    """IGC-L·M: every block is an interleaved group convolution."""

    pattern: ClassVar[str] = r"igc-l(?P<L>\d{1,4})m(?P<M>\d{1,4})" + CIFAR_TAIL

    @property
    def label(self) -> str:
        """E.g. ``igc-l4m8``."""
        return f"igc-l{self.L}m{self.M}"

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - L stays
        """IGC(L, M) at stage 1, IGC(L, 2M) and IGC(L, 4M) after it."""
        return IGC(L=self.L, M=c_out // self.L)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 and L24M2 in all forms, and the three large networks of Table 7."""
        for partitions, channels in ((4, 8), (24, 2)):
            for depth, ident, classes in _members():
                yield cls(L=partitions, M=channels, depth=depth, ident=ident, classes=classes)
        for partitions, channels in _PRINTED:
            for classes in (10, 100):
                yield cls(L=partitions, M=channels, depth=20, classes=classes)

    def figures(self) -> tuple[Figure, ...]:
        """Table 7's parameters: they are those for 100 classes, without shortcuts and BN."""
        printed = _PRINTED.get((self.L, self.M))
        if printed is None or (self.depth, self.ident, self.classes) != (20, False, 100):
            return ()
        return (Figure(printed=printed, counted=PARAMS_WITHOUT_NORM, source=_TABLE_7),)


_PRINTED = {(16, 32): "17.7M", (450, 2): "19.3M", (32, 26): "24.1M"}


@dataclass(frozen=True, kw_only=True)
class OfficialIGCNetwork(Partitioned):
    """IGC with shortcuts exactly as the authors' ``resnet_igc.py`` builds it.

    There the first block of a unit that changes the width from kin to kout has kin/L groups in its
    secondary convolution, not kout/L: twice the weights, and a second permutation that does not
    undo the first. The authors' ImageNet networks have kout/L, as `IGCNetwork` does.
    """

    pattern: ClassVar[str] = r"igc-l(?P<L>\d{1,4})m(?P<M>\d{1,4})-official" + CIFAR_TAIL

    @property
    def label(self) -> str:
        """E.g. ``igc-l4m8-official``."""
        return f"igc-l{self.L}m{self.M}-official"

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """The steps of `IGC.build`, with c_in/L secondary groups."""
        stride, groups = 1 if c_in == c_out else 2, c_in // self.L
        return nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, stride, 1, groups=self.L, bias=False),
            nn.ChannelShuffle(self.L),
            nn.Conv2d(c_out, c_out, 1, groups=groups, bias=False),
            nn.ChannelShuffle(groups),
        )

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 and L24M2 with shortcuts."""
        for partitions, channels in ((4, 8), (24, 2)):
            for depth, ident, classes in _members():
                if ident:
                    yield cls(L=partitions, M=channels, depth=depth, ident=True, classes=classes)


class SummationFusion(nn.Module):
    """A K×K convolution in L groups, whose L outputs are summed and handed to every partition.

    It is IGC with all secondary weights 1, so its effective width is M.
    """

    def __init__(self, c_in: int, c_out: int, groups: int, stride: int) -> None:
        super().__init__()
        self.primary = nn.Conv2d(c_in, c_out, 3, stride, 1, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        groups = self.primary.groups
        total: Tensor = self.primary(x).unflatten(1, (groups, -1)).sum(dim=1)
        return total.repeat(1, groups, 1, 1)


@dataclass(frozen=True, kw_only=True)
class SumFusion(Partitioned):
    """SumFusion: summation fusion on the same skeleton.

    The paper's L and M for it are not known to us; the list shows those of the IGC networks.
    """

    pattern: ClassVar[str] = r"sumfusion-l(?P<L>\d{1,4})m(?P<M>\d{1,4})" + CIFAR_TAIL

    @property
    def label(self) -> str:
        """E.g. ``sumfusion-l4m8``."""
        return f"sumfusion-l{self.L}m{self.M}"

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """Summation fusion."""
        return SummationFusion(c_in, c_out, self.L, 1 if c_in == c_out else 2)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 at the paper's depths."""
        for depth, ident, classes in _members():
            yield cls(L=4, M=8, depth=depth, ident=ident, classes=classes)


@dataclass(frozen=True, kw_only=True)
class XceptionLike(ChosenCifarNetwork):
    """Depthwise separable blocks throughout: IGC with M = 1 in *every* stage, so L doubles.

    (The authors' rule for IGC doubles M, which would leave M = 1 after stage 1.)

    Attributes:
        width: channels of stage 1.
    """

    pattern: ClassVar[str] = r"xception-w(?P<width>\d{1,4})" + CIFAR_TAIL

    width: int

    @property
    def label(self) -> str:
        """E.g. ``xception-w40``."""
        return f"xception-w{self.width}"

    @property
    def stem_width(self) -> int:
        """The width of stage 1."""
        return self.width

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A separable convolution."""
        return Xception()

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The width that costs what IGC-L24M2 does."""
        for depth, ident, classes in _members():
            yield cls(width=40, depth=depth, ident=ident, classes=classes)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `Network.from_parts`."""
        depth, ident, classes = read_tail(parts)
        return cls(width=_number(parts, "width"), depth=depth, ident=ident, classes=classes)


@dataclass(frozen=True, kw_only=True)
class GPC(ChosenCifarNetwork):
    """Group convolution and pointwise convolution in every block (the paper's supplement).

    Attributes:
        groups: of the 3×3 convolutions.
        width: channels of stage 1.
    """

    pattern: ClassVar[str] = r"gpc-g(?P<groups>\d{1,4})w(?P<width>\d{1,4})" + CIFAR_TAIL

    groups: int
    width: int

    @property
    def label(self) -> str:
        """E.g. ``gpc-g4w28``."""
        return f"gpc-g{self.groups}w{self.width}"

    @property
    def stem_width(self) -> int:
        """The width of stage 1."""
        return self.width

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A group and a pointwise convolution."""
        return DeepRoots(groups=self.groups)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The width that costs what IGC-L4M8 does."""
        for depth, ident, classes in _members():
            yield cls(groups=4, width=28, depth=depth, ident=ident, classes=classes)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `Network.from_parts`."""
        depth, ident, classes = read_tail(parts)
        groups, width = _number(parts, "groups"), _number(parts, "width")
        return cls(groups=groups, width=width, depth=depth, ident=ident, classes=classes)


def _members() -> Iterator[tuple[int, bool, int]]:
    """The paper's depths, without and with shortcuts, for CIFAR-10 and CIFAR-100."""
    return (
        (d, ident, classes) for classes in (10, 100) for ident in (False, True) for d in _DEPTHS
    )
