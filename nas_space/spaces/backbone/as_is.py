"""What a layer of a backbone was before anybody chose: among the choices, the one to keep it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class AsIs(Conv):
    """The convolution that the backbone has in that place, dense or in groups.

    It is no type that a space of ours offers, for it has no settings to choose, and so it is none
    of `nas_space.convs.kinds`: an architecture says of its layers that they are as they were.

    MACs = K² · c_in/groups · c_out · H_out · W_out.

    Attributes:
        groups: of the convolution.
    """

    kind: ClassVar[str] = "as_is"
    paper: ClassVar[str] = "the backbone's own"

    groups: int = 1

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - any width
        """A dense one."""
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """The groups must divide both widths."""
        uneven = [width for width in (c_in, c_out) if self.groups < 1 or width % self.groups]
        return f"{self.groups} groups do not divide {uneven[0]} channels" if uneven else None

    def build(self, c_in: int, c_out: int, stride: int = 1) -> "nn.Module":
        """A `torch.nn.Conv2d`."""
        from torch import nn  # noqa: PLC0415 - see `Conv.layer`

        padding = self.kernel // 2
        return nn.Conv2d(c_in, c_out, self.kernel, stride, padding, groups=self.groups, bias=False)

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:  # noqa: ARG002
        """It keeps its weights."""
        return False

    def params(self, c_in: int, c_out: int) -> int:
        """K² · c_in/groups · c_out."""
        return self.kernel**2 * c_in // self.groups * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The same at every output pixel."""
        return self.params(c_in, c_out) * area(out_size(size, stride))

    def __str__(self) -> str:
        """Without settings: the place says what it was."""
        return self.kind
