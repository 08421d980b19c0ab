"""The depthwise separable convolution of Xception.

Source: Chollet, *Xception: Deep Learning with Depthwise Separable Convolutions*, CVPR 2017,
arXiv 1610.02357.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import Operations, convolution

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Xception(Conv):
    """A depthwise K×K convolution, then a dense 1×1 one, with nothing between them.

    At equal widths it is IGC with M = 1. The depthwise part takes the stride.

    MACs = (K² + c_out) · c_in · H_out · W_out.
    """

    kind: ClassVar[str] = "xception"
    paper: ClassVar[str] = "Chollet, Xception, arXiv 1610.02357"

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - any width
        """The one setting a separable convolution has."""
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:  # noqa: ARG002 - any width
        """None: a separable convolution serves any widths."""
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.xception.Xception`."""
        from nas_space.layers import xception  # noqa: PLC0415 - see `Conv.layer`

        return xception.Xception

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """The nearest kernel, in least squares, in which an input channel has one pattern."""
        from nas_space.weights import factors  # noqa: PLC0415 - see `Conv.layer`

        c_out, c_in, *sides = kernel.shape
        mixing, patterns = factors(kernel.transpose(0, 1).reshape(c_in, c_out, -1), 1)
        module.get_parameter("0.weight").data.copy_(patterns.view(c_in, 1, *sides))
        module.get_parameter("1.weight").data.copy_(mixing.view(c_in, c_out, 1, 1).transpose(0, 1))
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """Depthwise K² · c_in, pointwise c_in · c_out."""
        return (self.kernel**2 + c_out) * c_in

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """Both convolutions run at the output's resolution."""
        return (self.kernel**2 + c_out) * c_in * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """A depthwise convolution, then a dense one."""
        return convolution(c_in, c_in, self.kernel, c_in), convolution(c_in, c_out, 1)

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The maps behind both convolutions."""
        return (c_in + c_out) * area(out_size(size, stride))
