"""IGCV2 networks: interleaved group convolutions of three stages on the skeleton of the IGC ones.

Source: Xie, Wang, Zhang, Lai, Hong, Qi, *IGCV2: Interleaved Structured Sparse Convolutional Neural
Networks*, CVPR 2018, arXiv 1804.06202.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from nas_space.convs import Conv, InvalidChoiceError
from nas_space.convs.igcv2 import IGCV2
from nas_space.papers.base import PARAMS, Figure
from nas_space.papers.grouped._cifar import TAIL, WideCifarNetwork


@dataclass(frozen=True, kw_only=True)
class IGCV2Network(WideCifarNetwork):
    """Every block is an `IGCV2` convolution, depthwise first where its width stays."""

    paper: ClassVar[str] = IGCV2.paper
    pattern: ClassVar[str] = r"igcv2-w(?P<width>[0-9]{1,4})" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``igcv2-w48``."""
        return f"igcv2-w{self.width}"

    def conv(self, c_in: int, c_out: int) -> Conv:
        """The sparsest setting of three stages that fits."""
        fitting = [conv for conv in IGCV2.settings(c_in, c_out) if conv.K4 == 1]
        if not fitting:
            raise InvalidChoiceError(
                f"three stages cannot share {c_out} channels; try a multiple of 8"
            )
        return fitting[-1]

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The width of IGC-L24M2, and that of the one network in the paper's Table 7 we know of."""
        return (cls(width=width, depth=20) for width in (48, 416))

    def figures(self) -> tuple[Figure, ...]:
        """IGCV2*-C416, whose layers we have found described nowhere."""
        if (self.width, self.depth, self.ident, self.classes) != (416, 20, False, 10):
            return ()
        return (
            Figure(
                printed="0.65M",
                counted=PARAMS,
                source="IGCV2 paper (arXiv 1804.06202), Table 7, IGCV2*-C416",
                gap="the paper's list of layers is not known to us; this is another network",
            ),
        )
