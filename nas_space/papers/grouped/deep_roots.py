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

from nas_space.papers._blocks import Sum, classify, conv_norm_relu
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

_PAPER = "Ioannou et al., Deep Roots, arXiv 1605.06489"
_SOURCE = "data of the first author's thesis"


def _groups(root: int, count: int) -> list[int]:
    return [max(1, root >> halvings) for halvings in range(count)]


def _check(root: int, most: int) -> None:
    if not 1 <= root <= most or root & (root - 1):
        raise UnknownNetworkError(f"a root is a power of two from 1 to {most}, not {root}")


@dataclass(frozen=True, kw_only=True)
class RootNIN(PaperNetwork):
    """Network in Network for CIFAR-10 (Lin et al., arXiv 1312.4400), with roots.

    Attributes:
        root: groups of the second spatial convolution; the third has half as many.
    """

    paper: ClassVar[str] = _PAPER
    pattern: ClassVar[str] = r"nin(?:-root-(?P<root>[0-9]{1,3}))?"

    root: int = 1

    def __post_init__(self) -> None:
        """Refuse what does not divide 96 and 192 channels."""
        _check(self.root, 32)

    @property
    def name(self) -> str:
        """E.g. ``nin-root-4``; ``nin`` has no groups."""
        return "nin" if self.root == 1 else f"nin-root-{self.root}"

    @property
    def shape(self) -> Shape:
        """CIFAR's images."""
        return 3, 32, 32

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Without groups, and root-2 to root-16."""
        return (cls(root=root) for root in _NIN)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(root=int(parts["root"] or 1))

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

    def figures(self) -> tuple[Figure, ...]:
        """Exact integers."""
        return _exact(_NIN, self.root, PARAMS)


@dataclass(frozen=True, kw_only=True)
class RootResNet50(PaperNetwork):
    """ResNet-50 (He et al., arXiv 1512.03385, stride in the first 1×1 convolution), with roots.

    Attributes:
        root: groups of the 3×3 convolutions of the first stage.
    """

    paper: ClassVar[str] = _PAPER
    pattern: ClassVar[str] = r"resnet-50-root-(?P<root>[0-9]{1,3})"

    root: int = 1

    def __post_init__(self) -> None:
        """Refuse what does not divide 64 channels."""
        _check(self.root, 64)

    @property
    def name(self) -> str:
        """E.g. ``resnet-50-root-8``; root-1 has no groups."""
        return f"resnet-50-root-{self.root}"

    @property
    def shape(self) -> Shape:
        """ImageNet's images."""
        return 3, 224, 224

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Without groups, and root-2 to root-64."""
        return (cls(root=root) for root in _RESNET_50)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(root=int(parts["root"] or 1))

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

    def figures(self) -> tuple[Figure, ...]:
        """Exact integers, parameters without BN."""
        return _exact(_RESNET_50, self.root, PARAMS_WITHOUT_NORM)


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
    shortcut: nn.Module = nn.Identity()
    if c_in != c_out:
        shortcut = nn.Sequential(conv(c_in, c_out, stride=stride), norm(c_out))
    return nn.Sequential(Sum(deep, shortcut), nn.ReLU())


def _exact(
    table: Mapping[int, tuple[int, int]], root: int, counted: Counting
) -> tuple[Figure, ...]:
    if root not in table:
        return ()
    params, macs = map(str, table[root])
    return (
        Figure(printed=params, counted=counted, source=_SOURCE),
        Figure(printed=macs, counted=MACS_AND_BIASES, source=_SOURCE),
    )


_NIN = {
    1: (966_986, 222_487_946),
    2: (736_586, 163_505_546),
    4: (455_498, 123_397_514),
    8: (314_954, 103_343_498),
    16: (244_682, 93_316_490),
}
_RESNET_50 = {
    1: (25_503_976, 3_857_974_312),
    2: (25_448_680, 3_684_566_056),
    4: (25_126_120, 3_366_650_920),
    8: (23_195_368, 2_860_876_840),
    16: (18_691_048, 2_434_581_544),
    32: (16_438_888, 2_221_433_896),
    64: (15_312_808, 2_114_860_072),
}
"""Root: parameters, multiply-adds and one operation a bias."""
