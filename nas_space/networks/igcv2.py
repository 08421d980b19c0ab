"""IGCV2 networks: interleaved group convolutions of three stages on the skeleton of the IGC ones.

Source: Xie, Wang, Zhang, Lai, Hong, Qi, *IGCV2: Interleaved Structured Sparse Convolutional Neural
Networks*, CVPR 2018, arXiv 1804.06202.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from nas_space.convs import Conv
from nas_space.convs.igcv2 import IGCV2
from nas_space.networks.base import PARAMS, Figure, UnknownNetworkError
from nas_space.networks.igc import CIFAR_TAIL, ChosenCifarNetwork, read_tail


@dataclass(frozen=True, kw_only=True)
class IGCV2Network(ChosenCifarNetwork):
    """Every block is an `IGCV2` convolution, depthwise first where its width stays.

    Attributes:
        width: channels of stage 1.
    """

    paper: ClassVar[str] = IGCV2.paper
    pattern: ClassVar[str] = r"igcv2-w(?P<width>\d{1,4})" + CIFAR_TAIL

    width: int

    def __post_init__(self) -> None:
        """Refuse widths that three stages cannot share."""
        super().__post_init__()
        if not IGCV2.settings(self.width, self.width):
            raise UnknownNetworkError(
                f"{self.width} channels cannot be shared by three stages; try a multiple of 8"
            )

    @property
    def label(self) -> str:
        """E.g. ``igcv2-w48``."""
        return f"igcv2-w{self.width}"

    @property
    def stem_width(self) -> int:
        """The width of stage 1."""
        return self.width

    def conv(self, c_in: int, c_out: int) -> Conv:
        """The sparsest setting of three stages that fits."""
        return [conv for conv in IGCV2.settings(c_in, c_out) if conv.K4 == 1][-1]

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """The width of IGC-L24M2, and that of the one network in the paper's Table 7 we know of."""
        return (cls(width=width, depth=20) for width in (48, 416))

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `Network.from_parts`."""
        depth, ident, classes = read_tail(parts)
        return cls(width=int(parts["width"] or 0), depth=depth, ident=ident, classes=classes)

    def figures(self) -> tuple[Figure, ...]:
        """IGCV2*-C416, whose layers we have found described nowhere."""
        if (self.width, self.depth, self.ident) != (416, 20, False):
            return ()
        return (
            Figure(
                printed="0.65M",
                counted=PARAMS,
                source="IGCV2 paper (arXiv 1804.06202), Table 7, IGCV2*-C416",
                gap="the paper's list of layers is not known to us; 416 is not its stage 1",
            ),
        )
