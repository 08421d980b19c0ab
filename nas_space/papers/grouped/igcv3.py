"""IGCV3-D: MobileNetV2 with both 1×1 convolutions of a block in two interleaved groups.

Source: Sun, Li, Liu, Wang, *IGCV3: Interleaved Low-Rank Group Convolutions for Efficient Deep
Neural Networks*, BMVC 2018, arXiv 1806.00178, and the authors' code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.papers._blocks import Sum, classify
from nas_space.papers.base import (
    MACS,
    PARAMS,
    PARAMS_WITHOUT_CLASSIFIER,
    Figure,
    PaperNetwork,
    UnknownNetworkError,
)

_PLAN = (
    (1, 16, 1, 1),
    (6, 24, 4, 2),
    (6, 32, 6, 2),
    (6, 64, 8, 2),
    (6, 96, 6, 1),
    (6, 160, 6, 2),
    (6, 320, 1, 1),
)
"""Of each stage: expansion, output channels, blocks, stride of the first block."""
_TABLE_3 = "IGCV3 paper (arXiv 1806.00178), Table 3"
_MULTIPLIER = "neither the authors' code nor a uniform multiplier gives the printed size"


def _conv(c_in: int, c_out: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


@dataclass(frozen=True, kw_only=True)
class IGCV3(PaperNetwork):
    """IGCV3-D with a width multiplier.

    A block is a 1×1 expansion in 2 groups, *no* activation, a channel shuffle, a depthwise 3×3
    convolution with ReLU6, a 1×1 projection in 2 groups, and the identity where it fits. The
    permutation after the projection that the paper draws is not applied in the authors' code.

    Attributes:
        widen: factor on all widths but the last 1,280 channels, which never shrink.
    """

    paper: ClassVar[str] = "Sun et al., IGCV3, arXiv 1806.00178"
    pattern: ClassVar[str] = r"igcv3-d(?:-(?P<widen>[0-9](?:\.[0-9]{1,3})?))?"

    widen: float = 1.0

    def __post_init__(self) -> None:
        """Refuse multipliers that leave a stage empty."""
        if not self._scaled(16):
            raise UnknownNetworkError(f"a multiplier of {self.widen} leaves a stage of no channels")

    @property
    def name(self) -> str:
        """E.g. ``igcv3-d-0.75``; a multiplier of 1 goes without saying."""
        return "igcv3-d" if self.widen == 1 else f"igcv3-d-{self.widen:g}"

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The multipliers with figures."""
        return (cls(widen=widen) for widen in _FIGURES)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(widen=float(parts["widen"] or 1))

    def _scaled(self, width: int) -> int:
        # Two groups need an even width; the multipliers whose sizes are known give one anyway.
        return int(width * self.widen) // 2 * 2

    def module(self) -> nn.Module:
        """Stem, seven stages, a 1×1 convolution, classifier."""
        c_in, last = self._scaled(32), max(1280, self._scaled(1280))
        layers: list[nn.Module] = [_conv(3, c_in, 3, 2, 1), nn.ReLU6()]
        for expansion, width, blocks, first_stride in _PLAN:
            c_out = self._scaled(width)
            for block in range(blocks):
                stride = 1 if block else first_stride
                layers.append(_block(c_in, expansion * c_in, c_out, stride, keeps=block > 0))
                c_in = c_out
        layers += [_conv(c_in, last, 1, 1, 1), nn.ReLU6()]
        return nn.Sequential(*layers, classify(last, 1000))

    def figures(self) -> tuple[Figure, ...]:
        """The authors' sizes, and the exact integers of a public port."""
        return _FIGURES.get(self.widen, ())


def _block(c_in: int, mid: int, c_out: int, stride: int, *, keeps: bool) -> nn.Module:
    deep = nn.Sequential(
        _conv(c_in, mid, 1, 1, 2),
        nn.ChannelShuffle(2),
        _conv(mid, mid, 3, stride, mid),
        nn.ReLU6(),
        _conv(mid, c_out, 1, 1, 2),
    )
    return Sum(deep, nn.Identity()) if keeps else deep


def _asserted(params: str) -> tuple[Figure, ...]:
    return (Figure(printed=params, counted=PARAMS, source="assertion in osmr/imgclsmob, igcv3.py"),)


_FIGURES = {
    0.25: _asserted("1534020"),
    0.5: _asserted("1985528"),
    0.75: _asserted("2638084"),
    1.0: (
        Figure(printed="3.5M", counted=PARAMS, source=_TABLE_3),
        Figure(printed="2.2M", counted=PARAMS_WITHOUT_CLASSIFIER, source="IGCV3 paper, Table 1"),
        Figure(
            printed="318M",
            counted=MACS,
            source=_TABLE_3,
            gap="convolutions and classifier have 313M multiply-adds",
        ),
    ),
    0.7: (
        Figure(printed="2.8M", counted=PARAMS, source=_TABLE_3, gap=_MULTIPLIER),
        Figure(printed="210M", counted=MACS, source=_TABLE_3, gap=_MULTIPLIER),
    ),
    1.4: (
        Figure(printed="7.2M", counted=PARAMS, source=_TABLE_3, gap=_MULTIPLIER),
        Figure(printed="610M", counted=MACS, source=_TABLE_3, gap=_MULTIPLIER),
    ),
}
