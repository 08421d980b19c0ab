"""Deep roots: existing networks whose spatial convolutions have fewer and fewer groups with depth.

Source: Ioannou, Robertson, Cipolla, Criminisi, *Deep Roots: Improving CNN Efficiency with
Hierarchical Filter Groups*, CVPR 2017, arXiv 1605.06489; figures from the first author's data.

In root-g the first grouped convolution has g groups and each further one half as many, down to 1.
The dense 1×1 convolutions that mix the groups are those that the networks have anyway.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.papers._blocks import Sum, classify, conv_norm_relu, shortcut
from nas_space.papers.base import (
    MACS_AND_BIASES,
    PARAMS,
    PARAMS_WITHOUT_NORM,
    Counting,
    Figure,
    PaperNetwork,
    Shape,
    UnknownNetworkError,
)

_SOURCE = "data of the first author's thesis"


def _groups(root: int, count: int) -> list[int]:
    return [max(1, root >> halvings) for halvings in range(count)]


@dataclass(frozen=True, kw_only=True)
class Rooted(PaperNetwork):
    """What both networks share.

    Attributes:
        root: groups of the first convolution that is grouped; 1 gives no groups.
        most: the largest root, which divides the channels.
        counted: how the parameters of `published` are counted.
        published: exact parameters, and multiply-adds with one operation a bias, by root.
    """

    paper: ClassVar[str] = "Ioannou et al., Deep Roots, arXiv 1605.06489"
    most: ClassVar[int]
    counted: ClassVar[Counting]
    published: ClassVar[Mapping[int, tuple[int, int]]]

    root: int = 1

    def __post_init__(self) -> None:
        """Refuse what does not divide the channels."""
        if not 1 <= self.root <= self.most or self.root & (self.root - 1):
            raise UnknownNetworkError(
                f"a root is a power of two from 1 to {self.most}, not {self.root}"
            )

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Those with figures."""
        return (cls(root=root) for root in cls.published)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(root=int(parts["root"] or 1))

    def figures(self) -> tuple[Figure, ...]:
        """Exact integers."""
        counted = (self.counted, MACS_AND_BIASES)
        return tuple(
            Figure(printed=str(number), counted=how, source=_SOURCE)
            for number, how in zip(self.published.get(self.root, ()), counted, strict=False)
        )


@dataclass(frozen=True, kw_only=True)
class RootNIN(Rooted):
    """Network in Network for CIFAR-10 (Lin et al., arXiv 1312.4400), with roots.

    The root is that of the second spatial convolution; the third has half as many groups.
    """

    pattern: ClassVar[str] = r"nin(?:-root-(?P<root>[0-9]{1,3}))?"
    most: ClassVar[int] = 32
    counted: ClassVar[Counting] = PARAMS
    published: ClassVar[Mapping[int, tuple[int, int]]] = {
        1: (966_986, 222_487_946),
        2: (736_586, 163_505_546),
        4: (455_498, 123_397_514),
        8: (314_954, 103_343_498),
        16: (244_682, 93_316_490),
    }

    @property
    def name(self) -> str:
        """E.g. ``nin-root-4``; ``nin`` has no groups."""
        return "nin" if self.root == 1 else f"nin-root-{self.root}"

    @property
    def shape(self) -> Shape:
        """CIFAR's images."""
        return 3, 32, 32

    def module(self) -> nn.Module:
        """Three spatial convolutions, each followed by two 1×1 ones; biases, no BN."""
        second, third = _groups(self.root, 2)

        def layer(c_in: int, c_out: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
            conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups)
            return nn.Sequential(conv, nn.ReLU())

        return nn.Sequential(
            layer(3, 192, 5),
            layer(192, 160),
            layer(160, 96),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(0.5),
            layer(96, 192, 5, second),
            layer(192, 192),
            layer(192, 192),
            nn.AvgPool2d(3, 2, ceil_mode=True),
            nn.Dropout(0.5),
            layer(192, 192, 3, third),
            layer(192, 192),
            layer(192, 10),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


@dataclass(frozen=True, kw_only=True)
class RootResNet50(Rooted):
    """ResNet-50 (He et al., arXiv 1512.03385, stride in the first 1×1 convolution), with roots.

    The root is that of the 3×3 convolutions of the first stage. Parameters are without BN.
    """

    pattern: ClassVar[str] = r"resnet-50-root-(?P<root>[0-9]{1,3})"
    most: ClassVar[int] = 64
    counted: ClassVar[Counting] = PARAMS_WITHOUT_NORM
    published: ClassVar[Mapping[int, tuple[int, int]]] = {
        1: (25_503_976, 3_857_974_312),
        2: (25_448_680, 3_684_566_056),
        4: (25_126_120, 3_366_650_920),
        8: (23_195_368, 2_860_876_840),
        16: (18_691_048, 2_434_581_544),
        32: (16_438_888, 2_221_433_896),
        64: (15_312_808, 2_114_860_072),
    }

    @property
    def name(self) -> str:
        """E.g. ``resnet-50-root-8``; root-1 has no groups."""
        return f"resnet-50-root-{self.root}"

    def module(self) -> nn.Module:
        """Bottlenecks; the stem alone has a bias, as in the Caffe network."""
        norm = nn.BatchNorm2d
        layers: list[nn.Module] = [
            conv_norm_relu(nn.Conv2d(3, 64, 7, 2, 3), 64, norm),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        ]
        c_in, plan = 64, zip((3, 4, 6, 3), _groups(self.root, 4), strict=True)
        for stage, (blocks, groups) in enumerate(plan):
            mid = 64 * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(_bottleneck(c_in, mid, stride, groups))
                c_in = 4 * mid
        return nn.Sequential(*layers, classify(c_in, 1000))


def _bottleneck(c_in: int, mid: int, stride: int, groups: int) -> nn.Sequential:
    def conv(a: int, b: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
        return nn.Conv2d(a, b, kernel, stride, kernel // 2, groups=groups, bias=False)

    norm, c_out = nn.BatchNorm2d, 4 * mid
    deep = nn.Sequential(
        conv_norm_relu(conv(c_in, mid, stride=stride), mid, norm),
        conv_norm_relu(conv(mid, mid, 3, groups=groups), mid, norm),
        conv(mid, c_out),
        norm(c_out),
    )
    return nn.Sequential(Sum(deep, shortcut(c_in, c_out, stride, norm)), nn.ReLU())
