"""Interleaved group convolution, IGC(L, M).

Source: Zhang, Qi, Xiao, Wang, *Interleaved Group Convolutions for Deep Neural Networks*,
ICCV 2017, arXiv 1707.02725: x' = P W^d P^T W^p x.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import SHUFFLE, Operations, convolution, plain
from nas_space.errors import InvalidChoiceError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class IGC(Conv):
    """A primary K×K group convolution, then a secondary 1×1 one across its partitions.

    The width is c_out = L·M. The primary convolution has L groups and takes the stride; the
    secondary has M groups of L channels, each holding one channel of every primary partition.
    So each pair of an input and an output channel is connected by exactly one path. Nothing
    stands between the two convolutions.

    Where the width changes, the primary convolution maps c_in/L to M channels in each of its L
    groups (the authors' code, which widens M and keeps L).

    MACs = (K² · c_in/L + L) · c_out · H_out · W_out.

    Attributes:
        L: number of primary partitions (groups of the primary convolution).
        M: output channels of a primary partition, and number of secondary partitions.
    """

    kind: ClassVar[str] = "igc"
    paper: ClassVar[str] = "Zhang et al., Interleaved Group Convolutions, arXiv 1707.02725"
    mixes_channels: ClassVar[bool] = True

    L: int
    M: int

    def __post_init__(self) -> None:
        """Refuse non-positive partitions."""
        super().__post_init__()
        if min(self.L, self.M) < 1:
            raise InvalidChoiceError(f"igc: L and M must be at least 1, not {self.L} and {self.M}")

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """For each M, the L that follows from the width.

        Where L = c_out/M does not divide c_in as well, the next smaller L that does. L = 1 is a
        regular convolution with a scale a channel and M = 1 is Xception's: neither is offered.
        """
        return tuple(
            cls(L=partitions, M=c_out // partitions)
            for channels in (32, 16, 8, 4, 2)
            if (partitions := _largest_common_divisor(c_in, c_out, c_out // channels)) > 1
        )

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """L·M must be the width, and L must divide the input's width too."""
        if c_out != self.L * self.M:
            return f"L·M = {self.L * self.M} must equal the width {c_out}"
        if c_in % self.L:
            return f"L = {self.L} must divide the {c_in} input channels"
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.igc.IGC`."""
        from nas_space.layers import igc  # noqa: PLC0415 - see `Conv.layer`

        return igc.IGC

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """The nearest kernel, in least squares: of rank 1 from a primary to a secondary partition.

        Output channel o·M + m sees primary partition l through one pattern for each (m, l).
        """
        from nas_space.weights import factors  # noqa: PLC0415 - see `Conv.layer`

        primary, secondary = module.get_parameter("0.weight"), module.get_parameter("2.weight")
        blocks = kernel.reshape(self.L, self.M, self.L, -1).permute(1, 2, 0, 3)
        mixing, patterns = factors(blocks, 1)  # (M, L, L, 1) and (M, L, 1, c_in/L·K²)
        primary.data.copy_(patterns.transpose(0, 1).reshape(primary.shape))
        secondary.data.copy_(mixing.squeeze(-1).transpose(1, 2).reshape(secondary.shape))
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """Primary K² · c_in/L · c_out, secondary L · c_out."""
        return (self.kernel**2 * c_in // self.L + self.L) * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """Both convolutions run at the output's resolution."""
        return self.params(c_in, c_out) * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """Two group convolutions, with a shuffle behind each."""
        primary = convolution(c_in, c_out, self.kernel, self.L)
        return primary, *plain(SHUFFLE), convolution(c_out, c_out, 1, self.M), *plain(SHUFFLE)

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:  # noqa: ARG002
        """An operation's input and output, each the whole width: shuffles copy."""
        return 2 * c_out * area(out_size(size, stride))


def _largest_common_divisor(a: int, b: int, bound: int) -> int:
    """The largest divisor of both a and b that is at most bound; 1 if bound is smaller."""
    return next((d for d in range(bound, 1, -1) if a % d == 0 and b % d == 0), 1)
