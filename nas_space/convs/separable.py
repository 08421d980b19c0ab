"""The depthwise separable convolution of MobileNet, with a nonlinearity inside.

Source: Howard et al., *MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications*, arXiv 1704.04861. Behind a 1×1 convolution to more channels it is the second half of
MobileNetV2's inverted residual block, arXiv 1801.04381.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nas_space.convs.base import Conv
from nas_space.convs.xception import Xception
from nas_space.costs.operations import RELU, Operations, plain

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Separable(Xception):
    """An Xception layer with BN and ReLU between its two convolutions: MACs and memory are equal.

    The ReLU makes it nonlinear: it cannot begin from a dense kernel.
    """

    kind: ClassVar[str] = "separable"
    paper: ClassVar[str] = "Howard et al., MobileNets, arXiv 1704.04861"

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.separable.Separable`."""
        from nas_space.layers import separable  # noqa: PLC0415 - see `Conv.layer`

        return separable.Separable

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """Do nothing, as `Conv.init_from_dense`."""
        return Conv.init_from_dense(self, module, kernel)

    def params(self, c_in: int, c_out: int) -> int:
        """Those of `Xception`, and BN's gamma and beta."""
        return super().params(c_in, c_out) + 2 * c_in

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:
        """Those of `Xception`, with the ReLU between them."""
        depthwise, pointwise = super().operations(c_in, c_out, stride)
        return depthwise, *plain(RELU), pointwise
