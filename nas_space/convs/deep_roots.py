"""Group-and-pointwise convolution (GPC), the block of deep roots.

Sources: Ioannou, Robertson, Cipolla, Criminisi, *Deep Roots*, CVPR 2017, arXiv 1605.06489;
the supplement of the IGC paper (arXiv 1707.02725) names the block GPC.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import Operations, convolution
from nas_space.errors import InvalidChoiceError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class DeepRoots(Conv):
    """A K×K group convolution, then a dense 1×1 one over all channels.

    The group convolution changes the width and takes the stride.

    MACs = (K² · c_in/groups + c_out) · c_out · H_out · W_out.

    Attributes:
        groups: groups of the K×K convolution.
    """

    kind: ClassVar[str] = "deep_roots"
    paper: ClassVar[str] = "Ioannou et al., Deep Roots, arXiv 1605.06489"

    groups: int

    def __post_init__(self) -> None:
        """Refuse a non-positive number of groups."""
        super().__post_init__()
        if self.groups < 1:
            raise InvalidChoiceError(f"deep_roots: groups must be at least 1, not {self.groups}")

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        """Root-2 to root-32, without the one that is an Xception layer: a group a channel."""
        roots = (2, 4, 8, 16, 32)
        return tuple(cls(groups=g) for g in roots if not g == c_in == c_out)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """The groups must divide both widths."""
        for width in (c_in, c_out):
            if width % self.groups:
                return f"{self.groups} groups do not divide {width} channels"
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.deep_roots.DeepRoots`."""
        from nas_space.layers import deep_roots  # noqa: PLC0415 - see `Conv.layer`

        return deep_roots.DeepRoots

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """The nearest kernel, in least squares: of low rank in each group of input channels."""
        from nas_space.weights import factors  # noqa: PLC0415 - see `Conv.layer`

        c_out, c_in, *sides = kernel.shape
        inputs, outputs = c_in // self.groups, c_out // self.groups
        blocks = kernel.reshape(c_out, self.groups, -1).transpose(0, 1)
        mixing, patterns = factors(blocks, outputs)
        rank = patterns.shape[1]
        grouped = module.get_parameter("0.weight").data.view(self.groups, outputs, inputs, *sides)
        grouped[:, :rank] = patterns.view(self.groups, rank, inputs, *sides)
        # Channels beyond the rank keep their random weights; what reads them starts at zero.
        pointwise = module.get_parameter("1.weight").data.view(c_out, self.groups, outputs)
        pointwise.zero_()[..., :rank] = mixing.transpose(0, 1)
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """Grouped K² · c_in/groups · c_out, pointwise c_out²."""
        return (self.kernel**2 * c_in // self.groups + c_out) * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """Both convolutions run at the output's resolution."""
        return self.params(c_in, c_out) * area(out_size(size, stride))

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:  # noqa: ARG002
        """A group convolution, then a dense one."""
        grouped = convolution(c_in, c_out, self.kernel, self.groups)
        return grouped, convolution(c_out, c_out, 1)

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:  # noqa: ARG002
        """The maps behind both convolutions."""
        return 2 * c_out * area(out_size(size, stride))
