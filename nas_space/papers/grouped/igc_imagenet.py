"""The ImageNet networks of interleaved group convolutions, on the skeleton of ResNet-18.

Source: Zhang, Qi, Xiao, Wang, *Interleaved Group Convolutions for Deep Neural Networks*, ICCV 2017,
arXiv 1707.02725, and the authors' ``models/*-symbol.json``.

A 7×7 convolution of stride 2, 3×3 max pooling of stride 2, four stages of two residual units of two
blocks, global average pooling, a linear classifier. A shortcut that changes the width is a 1×1
convolution with as many groups as the stage's primary convolutions have.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.convs import Conv
from nas_space.convs.igc import IGC
from nas_space.convs.regular import Regular
from nas_space.papers._blocks import Sum, classify, conv_norm_relu, shortcut
from nas_space.papers.base import (
    MACS,
    PARAMS,
    PARAMS_WITHOUT_NORM,
    Counting,
    Figure,
    PaperNetwork,
    UnknownNetworkError,
)

_SOURCE = "README of the IGC authors' code (the paper's ImageNet table)"
_NO_SUBSET = (
    "no subset of the network's parts has this many parameters, in units of 10^6 or of 2^20"
)


@dataclass(frozen=True, slots=True)
class _Published:
    params: str
    macs: str
    params_gap: str = _NO_SUBSET
    macs_gap: str = ""

    def figures(self, counted: Counting = PARAMS) -> tuple[Figure, ...]:
        return (
            Figure(printed=self.params, counted=counted, source=_SOURCE, gap=self.params_gap),
            Figure(printed=self.macs, counted=MACS, source=_SOURCE, gap=self.macs_gap),
        )


_RESNET = {
    64: _Published("11.151M", "1.8G"),
    69: _Published("11.333M", "2.1G", "69 channels have 13.5M parameters by any convention"),
}
_IGC = {
    (4, 32, False): _Published("11.205M", "1.9G"),
    (16, 16, False): _Published("11.329M", "2.2G", macs_gap="2.266G multiply-adds round to 2.3G"),
    (100, 2, True): _Published("8.61M", "1.3G", params_gap=""),
}


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=2e-5)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage: its choice of convolution, its width, and the groups of its shortcut."""

    conv: Conv
    width: int
    groups: int

    def units(self, c_in: int, stride: int) -> Iterator[nn.Module]:
        for _ in range(2):
            yield self._unit(c_in, stride)
            c_in, stride = self.width, 1

    def _unit(self, c_in: int, stride: int) -> nn.Sequential:
        width = self.width
        for entering in (c_in, width):
            self.conv.check(entering, width)
        deep = nn.Sequential(
            conv_norm_relu(self.conv.build(c_in, width, stride), width, _norm),
            self.conv.build(width, width),
            _norm(width),
        )
        line = shortcut(c_in, width, stride, _norm, groups=self.groups)
        return nn.Sequential(Sum(deep, line), nn.ReLU())


def _assemble(stem: int, stages: tuple[_Stage, ...]) -> nn.Sequential:
    first = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
    layers: list[nn.Module] = [conv_norm_relu(first, stem, _norm), nn.MaxPool2d(3, 2, 1)]
    c_in = stem
    for number, stage in enumerate(stages):
        layers += stage.units(c_in, stride=2 if number else 1)
        c_in = stage.width
    return nn.Sequential(*layers, classify(c_in, 1000))


@dataclass(frozen=True, kw_only=True)
class ResNet18(PaperNetwork):
    """ResNet(C): ResNet-18 with C channels in stage 1; C = 64 is He et al.'s.

    Attributes:
        width: C.
    """

    paper: ClassVar[str] = "Zhang et al., Interleaved Group Convolutions, arXiv 1707.02725"
    pattern: ClassVar[str] = r"resnet-18-w(?P<width>[0-9]{1,4})"

    width: int

    def __post_init__(self) -> None:
        """Refuse a network without channels."""
        if self.width < 1:
            raise UnknownNetworkError("a network needs at least 1 channel")

    @property
    def name(self) -> str:
        """E.g. ``resnet-18-w64``."""
        return f"resnet-18-w{self.width}"

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """C = 64 and 69."""
        return (cls(width=width) for width in _RESNET)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(width=int(parts["width"] or 0))

    def module(self) -> nn.Module:
        """Stages of C, 2C, 4C and 8C channels, all regular."""
        widths = (self.width * 2**stage for stage in range(4))
        return _assemble(self.width, tuple(_Stage(Regular(), width, 1) for width in widths))

    def figures(self) -> tuple[Figure, ...]:
        """The paper's parameters and FLOPs."""
        return _RESNET[self.width].figures() if self.width in _RESNET else ()


@dataclass(frozen=True, kw_only=True)
class IGCImageNet(PaperNetwork):
    """IGC-L·M+Ident. for ImageNet: M doubles from stage to stage, or L does.

    With ``widen_l`` the stem has L channels and stage 1 already doubles them, as in the authors'
    L100M2; a primary convolution then has the new number of groups, of M/2 channels in and M out.

    Attributes:
        L: primary partitions in stage 1.
        M: channels of a primary partition in stage 1.
        widen_l: whether L doubles and M stays.
    """

    paper: ClassVar[str] = "Zhang et al., Interleaved Group Convolutions, arXiv 1707.02725"
    pattern: ClassVar[str] = (
        r"igc-l(?P<L>[0-9]{1,4})m(?P<M>[0-9]{1,4})-imagenet(?P<widen_l>-widen-l)?"
    )

    L: int
    M: int
    widen_l: bool = False

    def __post_init__(self) -> None:
        """Refuse partitions that are none, or that a widened L does not divide."""
        if min(self.L, self.M) < 1:
            raise UnknownNetworkError("L and M must be at least 1")
        if self.widen_l and self.M % 2:
            raise UnknownNetworkError(
                f"L can double from stage to stage where M is even, not {self.M}"
            )

    @property
    def name(self) -> str:
        """E.g. ``igc-l4m32-imagenet``, ``igc-l100m2-imagenet-widen-l``."""
        return f"igc-l{self.L}m{self.M}-imagenet{'-widen-l' if self.widen_l else ''}"

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M32, L16M16 and L100M2."""
        for partitions, channels, widen_l in _IGC:
            yield cls(L=partitions, M=channels, widen_l=widen_l)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        partitions, channels = int(parts["L"] or 0), int(parts["M"] or 0)
        return cls(L=partitions, M=channels, widen_l=bool(parts["widen_l"]))

    def module(self) -> nn.Module:
        """Four stages; all secondary convolutions have (width / L) groups."""
        stages = []
        for number in range(4):
            wide, deep = (2**number, 1) if self.widen_l else (1, 2**number)
            conv = IGC(L=self.L * wide, M=self.M * deep)
            stages.append(_Stage(conv, conv.L * conv.M, conv.L))
        stem = self.L if self.widen_l else self.L * self.M
        return _assemble(stem, tuple(stages))

    def figures(self) -> tuple[Figure, ...]:
        """The paper's parameters and FLOPs; those of L100M2 are without BN."""
        published = _IGC.get((self.L, self.M, self.widen_l))
        return published.figures(PARAMS_WITHOUT_NORM) if published is not None else ()
