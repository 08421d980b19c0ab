"""Interleaved group convolutions of any number of stages, IGCV2.

Source: Xie, Wang, Zhang, Lai, Hong, Qi, *IGCV2: Interleaved Structured Sparse Convolutional Neural
Networks*, CVPR 2018, arXiv 1804.06202: y = P_n W_n … P_2 W_2 P_1 W_1 x.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import SHUFFLE, Operations, convolution, plain
from nas_space.errors import InvalidChoiceError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class IGCV2(Conv):
    """A K×K group convolution, then two or three 1×1 ones, each across the groups before it.

    Stage i has groups of K_i channels and K1·K2·K3·K4 is the width: the complementary condition,
    by which each pair of an input and an output channel is connected by exactly one path. The
    permutation after each stage gathers the next one's groups from as many groups as they have
    channels, and the last one restores the order; nothing else stands between the stages. With two
    stages it is IGC(L=K2, M=K1).

    Where the width changes, the first convolution maps c_in·K1/c_out to K1 channels a group.

    MACs = (K²·c_in·K1/c_out + K2 + K3 + K4) · c_out · H_out · W_out, without the stages left out.

    Attributes:
        K1: output channels of a group of the K×K convolution; 1 is depthwise.
        K2: channels of a group of the first 1×1 convolution.
        K3: of the second; 1 leaves it out.
        K4: of the third; 1 leaves it out.
    """

    kind: ClassVar[str] = "igcv2"
    paper: ClassVar[str] = "Xie et al., IGCV2, arXiv 1804.06202"
    mixes_channels: ClassVar[bool] = True

    K1: int
    K2: int
    K3: int = 1
    K4: int = 1

    def __post_init__(self) -> None:
        """Refuse groups without channels, and a stage behind one that is left out."""
        super().__post_init__()
        if min(self.K1, self.K3, self.K4) < 1 or self.K2 < 2:  # noqa: PLR2004 - mixes something
            raise InvalidChoiceError("igcv2: K1, K3 and K4 must be at least 1, and K2 at least 2")
        if self.K3 == 1 < self.K4:
            raise InvalidChoiceError("igcv2: K4 without K3")

    @property
    def pointwise(self) -> tuple[int, ...]:
        """Channels of a group in each 1×1 stage there is."""
        return tuple(k for k in (self.K2, self.K3, self.K4) if k > 1)

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """Three stages, then four where that is cheaper; K1 = 2, then depthwise.

        The 1×1 stages share what is left of the width as evenly as its divisors allow, which is
        nearest to the paper's optimum K²·K1 = K2 = K3. Where c_out/K1 groups do not divide c_in,
        the next smaller number that does is taken. Two stages are IGC's: not offered here.
        """
        found = []
        for pointwise in (2, 3):
            for k1 in (2, 1):
                bound = range(c_out // k1, 1, -1)
                groups = next((g for g in bound if c_in % g == c_out % g == 0), 1)
                shares = _even_factors(groups, pointwise)
                fewer = _even_factors(groups, pointwise - 1)
                if shares is not None and fewer is not None and sum(shares) < sum(fewer):
                    found.append(cls(K1=c_out // groups, **_named(shares)))
        return tuple(found)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """The product must be the width, and the groups must divide the input's width too."""
        product = self.K1 * math.prod(self.pointwise)
        if c_out != product:
            return f"K1·K2·K3·K4 = {product} must equal the width {c_out}"
        groups = c_out // self.K1
        if c_in % groups:
            return f"{groups} groups must divide the {c_in} input channels"
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.igcv2.IGCV2`."""
        from nas_space.layers import igcv2  # noqa: PLC0415 - see `Conv.layer`

        return igcv2.IGCV2

    def params(self, c_in: int, c_out: int) -> int:
        """K² · c_in/groups · c_out, and K_i · c_out for each 1×1 stage."""
        primary = self.kernel**2 * c_in * self.K1 // c_out
        return (primary + sum(self.pointwise)) * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """All stages run at the output's resolution."""
        return self.params(c_in, c_out) * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """Three or four group convolutions, with a shuffle behind each."""
        first = convolution(c_in, c_out, self.kernel, c_out // self.K1)
        others = (convolution(c_out, c_out, 1, c_out // channels) for channels in self.pointwise)
        return tuple(op for found in (first, *others) for op in (found, *plain(SHUFFLE)))

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:  # noqa: ARG002
        """An operation's input and output, each the whole width: shuffles copy."""
        return 2 * c_out * area(out_size(size, stride))


def _named(shares: tuple[int, ...]) -> dict[str, int]:
    return {f"K{stage}": share for stage, share in enumerate(shares, 2)}


@cache
def _even_factors(number: int, count: int) -> tuple[int, ...] | None:
    """That many factors of at least 2, of least sum, largest first; None if there are none."""
    if count == 1:
        return (number,) if number > 1 else None
    rest = ((k, _even_factors(number // k, count - 1)) for k in range(2, number) if not number % k)
    ways = [tuple(sorted((k, *others), reverse=True)) for k, others in rest if others is not None]
    return min(ways, key=sum) if ways else None
