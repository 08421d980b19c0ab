"""Deep fusion by merge-and-run (DFN-MR): two parallel residual branches that share their shortcuts.

Source: Zhao, Wang, Li, Tu, Zeng, *Deep Convolutional Neural Networks with Merge-and-Run Mappings*,
arXiv 1611.07718 (deeply-fused nets: arXiv 1605.07716), and the authors' code.

A block maps a pair: y1 = F1(x1) + (x1 + x2)/2, y2 = F2(x2) + (x1 + x2)/2, each through ReLU. The
matrix of the shortcut, ½[[I, I], [I, I]], is idempotent: what it lets pass it lets pass for ever.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.papers._blocks import classify, conv_norm_relu, shortcut
from nas_space.papers.base import (
    PARAMS,
    Figure,
    OnlyMember,
    PaperNetwork,
    Shape,
    UnknownNetworkError,
)

_PAPER = "Zhao et al., Merge-and-Run Mappings, arXiv 1611.07718"
_README = "README of the merge-and-run authors' code"
Pair = tuple[Tensor, Tensor]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=2e-5)


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)


class MergeAndRun(nn.Module):
    """A block of two branches.

    Args:
        branch: makes the residual function F of one branch.
        line: makes what stands on the way to the mean in one branch; None gives no shortcut.
        last: whether both residual functions are added to the mean, which ends the pair.
    """

    def __init__(
        self,
        branch: Callable[[], nn.Module],
        line: Callable[[], nn.Module] | None,
        *,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([branch(), branch()])
        self.lines = None if line is None else nn.ModuleList([line(), line()])
        self.last = last

    def forward(self, pair: Pair) -> Pair:
        """Map a pair of equal shape to a pair of equal shape."""
        ys = [f(x) for f, x in zip(self.branches, pair, strict=True)]
        if self.lines is not None:
            a, b = (line(x) for line, x in zip(self.lines, pair, strict=True))
            mean = (a + b) / 2
            ys = [mean + ys[0] + ys[1]] * 2 if self.last else [y + mean for y in ys]
        first, second = (F.relu(y) for y in ys)
        return first, second


class Fused(nn.Module):
    """Stem, merge-and-run blocks from a doubled input, and a head.

    Args:
        stem: maps the image to the input of both branches.
        blocks: `MergeAndRun` blocks.
        merge: maps the last pair to the head's input.
        head: maps to logits.
    """

    def __init__(
        self,
        stem: nn.Module,
        blocks: list[nn.Module],
        merge: Callable[[Pair], Tensor],
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.merge = merge
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits."""
        x = self.stem(x)
        logits: Tensor = self.head(self.merge(self.blocks((x, x))))
        return logits


def _first(pair: Pair) -> Tensor:
    return pair[0]


def _join(pair: Pair) -> Tensor:
    return torch.cat(pair, dim=1)


@dataclass(frozen=True, kw_only=True)
class MergeAndRunCifar(PaperNetwork):
    """DFN-MR for CIFAR and SVHN.

    Attributes:
        plain_depth: layers that the plain network of as many convolutions has; with two branches
            the network is 2 + (plain_depth - 2)/2 layers deep.
        widen: factor on the widths 16, 32 and 64.
        classes: of the classifier.
    """

    paper: ClassVar[str] = _PAPER
    pattern: ClassVar[str] = (
        r"dfn-mr-d(?P<depth>[0-9]{1,3})w(?P<widen>[0-9]{1,3})(?:-c(?P<classes>[0-9]{1,6}))?"
    )

    plain_depth: int
    widen: int = 1
    classes: int = 10

    def __post_init__(self) -> None:
        """Refuse depths that do not fill three equal stages of two-branch blocks."""
        if self.plain_depth < 14 or (self.plain_depth - 2) % 12:  # noqa: PLR2004
            raise UnknownNetworkError(
                f"a merge-and-run network has a plain depth of 12n + 2, not {self.plain_depth}"
            )
        if min(self.widen, self.classes) < 1:
            raise UnknownNetworkError("a network needs at least 1 channel and 1 class")

    @property
    def name(self) -> str:
        """E.g. ``dfn-mr-d62w4``."""
        classes = "" if self.classes == 10 else f"-c{self.classes}"  # noqa: PLR2004 - CIFAR-10
        return f"dfn-mr-d{self.plain_depth}w{self.widen}{classes}"

    @property
    def shape(self) -> Shape:
        """CIFAR's images."""
        return 3, 32, 32

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """MR1, MR2, MR3 of the paper, and the tutorial's network."""
        return (cls(plain_depth=depth, widen=widen) for depth, widen in _CIFAR)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        depth, widen, classes = (int(parts[key] or 10) for key in ("depth", "widen", "classes"))
        return cls(plain_depth=depth, widen=widen, classes=classes)

    def module(self) -> nn.Module:
        """Three stages of widths 16, 32 and 64 times `widen`."""
        c_in = 16 * self.widen
        stem = conv_norm_relu(_conv(3, c_in, 3), c_in, _norm)
        count = (self.plain_depth - 2) // 12
        blocks: list[nn.Module] = []
        for c_out in (c_in, 2 * c_in, 4 * c_in):
            for number in range(count):
                last = c_out == 64 * self.widen and number == count - 1
                blocks.append(_basic(c_in, c_out, last=last))
                c_in = c_out
        return Fused(stem, blocks, _first, classify(c_in, self.classes))

    def figures(self) -> tuple[Figure, ...]:
        """The parameters that the authors give."""
        figure = _CIFAR.get((self.plain_depth, self.widen))
        return (figure,) if figure is not None and self.classes == 10 else ()  # noqa: PLR2004


def _basic(c_in: int, c_out: int, *, last: bool) -> MergeAndRun:
    stride = 1 if c_in == c_out else 2

    def branch() -> nn.Module:
        return nn.Sequential(
            conv_norm_relu(_conv(c_in, c_out, 3, stride), c_out, _norm),
            _conv(c_out, c_out, 3),
            _norm(c_out),
        )

    def line() -> nn.Module:
        return shortcut(c_in, c_out, stride, _norm)

    return MergeAndRun(branch, line, last=last)


_CIFAR = {
    (26, 1): Figure(printed="0.3494M", counted=PARAMS, source="the authors' tutorial, its log"),
    (110, 1): Figure(printed="1.7M", counted=PARAMS, source=_README),
    (62, 4): Figure(printed="14.9M", counted=PARAMS, source=_README),
    (98, 4): Figure(
        printed="24.8M",
        counted=PARAMS,
        source=_README,
        gap="the authors' code, at the stated depth and width, has 24.15M",
    ),
}


@dataclass(frozen=True, kw_only=True)
class MergeAndRunImageNet(OnlyMember):
    """DFN-MR for ImageNet, as the authors' ``symbol_cross.py`` builds it.

    Bottlenecks, 1, 2, 11 and 2 of them a stage. The first block of a stage has no shortcut, the
    stem neither BN nor ReLU, and the two branches are concatenated before the classifier.
    """

    paper: ClassVar[str] = _PAPER
    pattern: ClassVar[str] = r"dfn-mr-imagenet"

    def module(self) -> nn.Module:
        """Four stages of 256 to 2,048 channels a branch."""
        stem = nn.Sequential(_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        blocks: list[nn.Module] = []
        c_in = 64
        for stage, count in enumerate((1, 2, 11, 2)):
            c_out = 256 * 2**stage
            for number in range(count):
                stride = 2 if stage and not number else 1
                blocks.append(_bottleneck(c_in, c_out, stride))
                c_in = c_out
        return Fused(stem, blocks, _join, classify(2 * c_in, 1000))

    def figures(self) -> tuple[Figure, ...]:
        """The parameters that the authors give."""
        return (Figure(printed="46.4M", counted=PARAMS, source=_README),)


def _bottleneck(c_in: int, c_out: int, stride: int) -> MergeAndRun:
    mid = c_out // 4

    def branch() -> nn.Module:
        return nn.Sequential(
            conv_norm_relu(_conv(c_in, mid, 1), mid, _norm),
            conv_norm_relu(_conv(mid, mid, 3, stride), mid, _norm),
            _conv(mid, c_out, 1),
            _norm(c_out),
        )

    return MergeAndRun(branch, nn.Identity if c_in == c_out else None)
