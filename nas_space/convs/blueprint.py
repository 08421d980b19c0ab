"""The blueprint separable convolution: a depthwise separable one in the other order.

Source: Haase and Amthor, *Rethinking Depthwise Separable Convolutions: How Intra-Kernel
Correlations Lead to Improved MobileNets*, CVPR 2020, arXiv 2003.13549 (BSConv-U).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import Operations, convolution

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Blueprint(Conv):
    """A dense 1×1 convolution, then a depthwise K×K one, with nothing between them.

    Each kernel of an output channel is one K×K pattern, times a number for each input channel. The
    depthwise part takes the stride.

    MACs = c_in · c_out · H · W + K² · c_out · H_out · W_out.
    """

    kind: ClassVar[str] = "blueprint"
    paper: ClassVar[str] = "Haase and Amthor, BSConv, arXiv 2003.13549"

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - any width
        """The one setting that it has."""
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:  # noqa: ARG002 - any width
        """None: it serves any widths."""
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.blueprint.Blueprint`."""
        from nas_space.layers import blueprint  # noqa: PLC0415 - see `Conv.layer`

        return blueprint.Blueprint

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """The nearest kernel, in least squares, in which an output channel has one pattern."""
        from nas_space.weights import factors  # noqa: PLC0415 - see `Conv.layer`

        mixing, patterns = factors(kernel.flatten(2), 1)
        for name, part in (("0.weight", mixing), ("1.weight", patterns)):
            weight = module.get_parameter(name).data
            weight.copy_(part.reshape(weight.shape))
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """Pointwise c_in · c_out, depthwise K² · c_out."""
        return (c_in + self.kernel**2) * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The pointwise part runs at the input's resolution."""
        pointwise, depthwise = c_in * c_out, self.kernel**2 * c_out
        return pointwise * area(size) + depthwise * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """A dense convolution, then a depthwise one."""
        return convolution(c_in, c_out, 1), convolution(c_out, c_out, self.kernel, c_out)

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:  # noqa: ARG002
        """The maps behind both convolutions."""
        return c_out * (area(size) + area(out_size(size, stride)))
