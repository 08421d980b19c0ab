"""GPC networks: group and pointwise convolution, in the supplement of the IGC paper."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from nas_space.convs import Conv
from nas_space.convs.deep_roots import DeepRoots
from nas_space.papers.grouped._cifar import TAIL, WideCifarNetwork


@dataclass(frozen=True, kw_only=True)
class GPC(WideCifarNetwork):
    """A 3×3 group convolution and a dense 1×1 one in every block, BN and ReLU after the second.

    (Where the paper has them in its GPC is not known to us.)

    Attributes:
        groups: of the 3×3 convolutions.
    """

    pattern: ClassVar[str] = r"gpc-g(?P<groups>[0-9]{1,4})w(?P<width>[0-9]{1,4})" + TAIL

    groups: int

    @property
    def label(self) -> str:
        """E.g. ``gpc-g4w28``."""
        return f"gpc-g{self.groups}w{self.width}"

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A group and a pointwise convolution."""
        return DeepRoots(groups=self.groups)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Within a tenth of the MACs of IGC-L4M8; the paper's settings are not known to us."""
        return cls.members(groups=4, width=28)
