"""The regular convolution: every output channel sees every input channel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import Operations, convolution

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Regular(Conv):
    """A dense K×K convolution.

    MACs = K² · c_in · c_out · H_out · W_out.
    """

    kind: ClassVar[str] = "regular"
    paper: ClassVar[str] = "LeCun et al., Gradient-based learning, Proc. IEEE 1998"
    mixes_channels: ClassVar[bool] = True

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - any width
        """The one setting a regular convolution has."""
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:  # noqa: ARG002 - any width
        """None: a regular convolution serves any widths."""
        return None

    def build(self, c_in: int, c_out: int, stride: int = 1) -> "nn.Module":
        """A `torch.nn.Conv2d`."""
        from torch import nn  # noqa: PLC0415 - see `Conv.layer`

        return nn.Conv2d(c_in, c_out, self.kernel, stride, self.kernel // 2, bias=False)

    def expression(self, c_in: int, c_out: int, stride: int = 1) -> str:
        """The same `torch.nn.Conv2d`, as one would type it."""
        strided = f", stride={stride}" * (stride > 1)
        padded = f", padding={self.kernel // 2}" * (self.kernel > 1)
        return f"nn.Conv2d({c_in}, {c_out}, {self.kernel}{strided}{padded}, bias=False)"

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """The kernel itself."""
        module.get_parameter("weight").data.copy_(kernel)
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """K² · c_in · c_out."""
        return self.kernel**2 * c_in * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """K² · c_in · c_out at every output pixel."""
        return self.params(c_in, c_out) * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """One convolution."""
        return (convolution(c_in, c_out, self.kernel),)
