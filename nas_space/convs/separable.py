"""The depthwise separable convolution of MobileNet, with a nonlinearity inside.

Source: Howard et al., *MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications*, arXiv 1704.04861. Behind a 1×1 convolution to more channels it is the second half of
MobileNetV2's inverted residual block, arXiv 1801.04381.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Separable(Conv):
    """A depthwise K×K convolution, BN and ReLU, then a dense 1×1 convolution.

    `nas_space.convs.xception` is the same without BN and ReLU. The depthwise part takes the stride.

    MACs = (K² + c_out) · c_in · H_out · W_out.
    """

    kind: ClassVar[str] = "separable"
    paper: ClassVar[str] = "Howard et al., MobileNets, arXiv 1704.04861"

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - any width
        """The one setting a separable convolution has."""
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:  # noqa: ARG002 - any width
        """None: a separable convolution serves any widths."""
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.separable.Separable`."""
        from nas_space.layers import separable  # noqa: PLC0415 - see `Conv.layer`

        return separable.Separable

    def params(self, c_in: int, c_out: int) -> int:
        """Depthwise K² · c_in, BN's gamma and beta, pointwise c_in · c_out."""
        return (self.kernel**2 + 2 + c_out) * c_in

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """Both convolutions run at the output's resolution."""
        return (self.kernel**2 + c_out) * c_in * area(out_size(size, stride))

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The maps behind both convolutions."""
        return (c_in + c_out) * area(out_size(size, stride))
