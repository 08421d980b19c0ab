"""MobileNets of octave convolutions, and the vanilla ones.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, Table 5, and the authors' code;
the networks are Howard et al.'s (arXiv 1704.04861) and Sandler et al.'s (arXiv 1801.04381).

Depthwise convolutions keep the frequencies apart; the 1×1 ones exchange between them.
"""

import itertools
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.layers.octave import Octaves, Widths
from nas_space.papers._calflops import GLUON_COUNTER
from nas_space.papers.base import (
    MACS,
    PARAMS,
    Counting,
    Figure,
    UnknownNetworkError,
)
from nas_space.papers.octave._pairs import (
    ALPHA,
    OCT,
    Alpha,
    Both,
    Each,
    GlobalPool,
    OctaveNetwork,
    OctNet,
    add,
    alpha_of,
    conv,
    normalised,
    shares,
    spell,
)

_NAME = r"(?P<multiplier>[0-9](?:\.[0-9]{1,3})?)" + ALPHA
_TABLE_5 = "OctConv paper (arXiv 1904.05049), Table 5"


def _figures(params: str, macs: str, counted: Counting, gap: str = "") -> tuple[Figure, ...]:
    return (
        Figure(printed=params, counted=PARAMS, source=_TABLE_5),
        Figure(printed=macs, counted=counted, source=_TABLE_5, gap=gap),
    )


@dataclass(frozen=True, kw_only=True)
class OctMobileNet(OctaveNetwork):
    """What both generations share.

    Attributes:
        multiplier: factor on the widths, rounded down.
    """

    generation: ClassVar[int]
    published: ClassVar[Mapping[tuple[float, Alpha], tuple[Figure, ...]]]

    multiplier: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible shares and multipliers."""
        super().__post_init__()
        if self.multiplier < 0.25:  # noqa: PLR2004 - the authors' bound as well
            raise UnknownNetworkError(f"a multiplier is at least 0.25, not {self.multiplier}")

    @property
    def name(self) -> str:
        """E.g. ``oct-mobilenet-v1-0.75-a0.375``, ``mobilenet-v2-1``."""
        return spell(f"mobilenet-v{self.generation}-{self.multiplier:g}", self.alpha)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Those of the paper's table, and their vanilla counterparts."""
        return (cls(multiplier=multiplier, alpha=alpha) for multiplier, alpha in cls.published)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(multiplier=float(parts["multiplier"] or 1), alpha=alpha_of(parts))

    def figures(self) -> tuple[Figure, ...]:
        """The paper's parameters and FLOPs."""
        return self.published.get((self.multiplier, self.alpha), ())

    def module(self) -> nn.Module:
        """Stem, blocks, tail, classifier; blocks are numbered anew after each halving."""
        width = self._scaled(32)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        stage, number = 1, 0
        for stride, block in self.blocks():
            stage, number = (stage + 1, 0) if stride > 1 else (stage, number + 1)
            body[f"L{stage}_B{number}"] = block
        tail, features = self.tail()
        first = nn.Conv2d(3, width, 3, 2, 1, bias=False)
        stem = normalised(first, nn.BatchNorm2d, relu=self.activation())
        return OctNet(stem, nn.Sequential(body), tail, features, pool=self.pool())

    def pool(self) -> nn.Module:
        """Global average pooling."""
        return GlobalPool()

    @abstractmethod
    def blocks(self) -> Iterator[tuple[int, nn.Module]]:
        """The stride and the module of each block."""

    @abstractmethod
    def tail(self) -> tuple[nn.Module, int]:
        """What follows the blocks, and its channels."""

    @abstractmethod
    def activation(self) -> nn.Module:
        """The nonlinearity."""

    def _scaled(self, width: int) -> int:
        return int(width * self.multiplier)


@dataclass(frozen=True, kw_only=True)
class OctMobileNetV1(OctMobileNet):
    """MobileNetV1: 13 depthwise separable blocks, low frequencies in blocks 1 to 11."""

    pattern: ClassVar[str] = OCT + r"mobilenet-v1-" + _NAME
    generation: ClassVar[int] = 1
    published: ClassVar[Mapping[tuple[float, Alpha], tuple[Figure, ...]]] = {
        (0.75, None): _figures("2.6M", "325M", MACS),
        (0.75, 0.375): _figures("2.6M", "213M", GLUON_COUNTER),
        (1.0, None): (
            Figure(printed="568.7M", counted=MACS, source="README of d-li14/octconv.pytorch"),
        ),
        (1.0, 0.5): _figures("4.2M", "321M", GLUON_COUNTER),
    }

    def blocks(self) -> Iterator[tuple[int, nn.Module]]:
        """Block 1's pointwise convolution splits, block 11's takes the low frequencies back."""
        widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        halvings = {2, 4, 6, 12}
        before: Widths = (self._scaled(32), 0)
        for number, width in enumerate(widths[1:], 1):
            after = shares(self._scaled(width), self.alpha if number <= 10 else 0.0)  # noqa: PLR2004
            stride = 2 if number in halvings else 1
            yield stride, Separable(before, after, stride, self.alpha)
            before = after

    def tail(self) -> tuple[nn.Module, int]:
        """Nothing."""
        return nn.Identity(), self._scaled(1024)

    def pool(self) -> nn.Module:
        """Adaptive pooling, which the authors' counter does not count."""
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def activation(self) -> nn.Module:
        """ReLU."""
        return nn.ReLU()


class Separable(nn.Module):
    """Depthwise 3×3 - BN - ReLU - 1×1 - BN - ReLU."""

    def __init__(self, before: Widths, after: Widths, stride: int, alpha: Alpha) -> None:
        super().__init__()
        width = sum(before)
        self.conv1 = conv(before, before, 3, alpha=alpha, stride=stride, groups=width)
        self.conv2 = conv(before, after, 1, alpha=alpha)
        self.bn1, self.bn2 = Each(before, nn.BatchNorm2d), Each(after, nn.BatchNorm2d)
        self.relu = Both(nn.ReLU())

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair to a pair."""
        y = self.relu(self.bn1(self.conv1(x)))
        separable: Octaves = self.relu(self.bn2(self.conv2(y)))
        return separable


@dataclass(frozen=True, kw_only=True)
class OctMobileNetV2(OctMobileNet):
    """MobileNetV2: 17 inverted residuals, low frequencies only *inside* the first 13.

    The first block keeps its 1×1 expansion although it does not expand, as in the authors' code.
    """

    pattern: ClassVar[str] = OCT + r"mobilenet-v2-" + _NAME
    generation: ClassVar[int] = 2
    published: ClassVar[Mapping[tuple[float, Alpha], tuple[Figure, ...]]] = {
        (1.0, None): _figures(
            "3.5M",
            "300M",
            MACS,
            gap="copied from the MobileNetV2 paper, whose first block has no 1×1 expansion",
        ),
        (1.0, 0.375): _figures("3.5M", "256M", GLUON_COUNTER),
        (1.125, None): (),
        (1.125, 0.5): _figures("4.2M", "295M", GLUON_COUNTER),
    }

    def blocks(self) -> Iterator[tuple[int, nn.Module]]:
        """The low frequencies end with the stage of 14×14 maps."""
        widths = [32, 16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
        halvings = {2, 4, 7, 14}
        for number, (a, b) in enumerate(itertools.pairwise(widths), 1):
            c_in, c_out = self._scaled(a), self._scaled(b)
            expansion = 1 if number == 1 else 6
            mid = shares(expansion * c_in, self.alpha if number <= 13 else 0.0)  # noqa: PLR2004
            stride = 2 if number in halvings else 1
            yield stride, InvertedResidual(c_in, mid, c_out, stride, self.alpha)

    def tail(self) -> tuple[nn.Module, int]:
        """A 1×1 convolution to 1,280 channels, which never shrink."""
        width = max(1280, self._scaled(1280))
        layer = nn.Conv2d(self._scaled(320), width, 1, bias=False)
        return normalised(layer, nn.BatchNorm2d, relu=self.activation()), width

    def activation(self) -> nn.Module:
        """ReLU6."""
        return nn.ReLU6()


class InvertedResidual(nn.Module):
    """1×1 - BN - ReLU6 - depthwise 3×3 - BN - ReLU6 - 1×1 - BN, plus the input where it fits."""

    def __init__(self, c_in: int, mid: Widths, c_out: int, stride: int, alpha: Alpha) -> None:
        super().__init__()
        before, after = (c_in, 0), (c_out, 0)
        self.conv1 = conv(before, mid, 1, alpha=alpha)
        self.conv2 = conv(mid, mid, 3, alpha=alpha, stride=stride, groups=sum(mid))
        self.conv3 = conv(mid, after, 1, alpha=alpha)
        self.bn1, self.bn2 = Each(mid, nn.BatchNorm2d), Each(mid, nn.BatchNorm2d)
        self.bn3 = Each(after, nn.BatchNorm2d)
        self.relu = Both(nn.ReLU6())
        self.keeps = stride == 1 and c_in == c_out

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair without low frequencies to such a pair."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return add(y, x) if self.keeps else y
