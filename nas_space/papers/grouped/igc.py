"""The CIFAR and SVHN networks of interleaved group convolutions.

Source: Zhang, Qi, Xiao, Wang, *Interleaved Group Convolutions for Deep Neural Networks*, ICCV 2017,
arXiv 1707.02725, and the authors' code.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor, nn

from nas_space.convs import Conv
from nas_space.convs.igc import IGC
from nas_space.layers import igc as layers
from nas_space.papers.base import PARAMS_WITHOUT_NORM, Figure, UnknownNetworkError
from nas_space.papers.grouped._cifar import TAIL, ChosenCifarNetwork, CifarNetwork

_TABLE_7 = "IGC paper (arXiv 1707.02725), Table 7"
_PRINTED = {(16, 32): "17.7M", (450, 2): "19.3M", (32, 26): "24.1M"}


@dataclass(frozen=True, kw_only=True)
class Partitioned(CifarNetwork):
    """A network of L primary partitions, whose channels M double from stage to stage.

    Attributes:
        L: primary partitions.
        M: channels of a primary partition in stage 1.
    """

    L: int
    M: int

    @property
    def stem_width(self) -> int:
        """L·M."""
        return self.L * self.M

    @property
    def shortcut_groups(self) -> int:
        """One for each primary partition, as in the authors' ``resnet_igc.py``."""
        return self.L


@dataclass(frozen=True, kw_only=True)
class IGCNetwork(Partitioned, ChosenCifarNetwork):
    """IGC-L·M: every block is an interleaved group convolution."""

    pattern: ClassVar[str] = r"igc-l(?P<L>[0-9]{1,4})m(?P<M>[0-9]{1,4})" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``igc-l4m8``."""
        return f"igc-l{self.L}m{self.M}"

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - L stays
        """IGC(L, M) at stage 1, IGC(L, 2M) and IGC(L, 4M) after it."""
        return IGC(L=self.L, M=c_out // self.L)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 and L24M2 in all forms, and the three large networks of Table 7."""
        for partitions, channels in ((4, 8), (24, 2)):
            yield from cls.members(L=partitions, M=channels)
        for partitions, channels in _PRINTED:
            for classes in (10, 100):
                yield cls(L=partitions, M=channels, depth=20, classes=classes)

    def figures(self) -> tuple[Figure, ...]:
        """Table 7's parameters: they are those for 100 classes, without shortcuts and BN."""
        printed = _PRINTED.get((self.L, self.M))
        if printed is None or (self.depth, self.ident, self.classes) != (20, False, 100):
            return ()
        return (Figure(printed=printed, counted=PARAMS_WITHOUT_NORM, source=_TABLE_7),)


@dataclass(frozen=True, kw_only=True)
class OfficialIGCNetwork(Partitioned):
    """IGC with shortcuts exactly as the authors' ``resnet_igc.py`` builds it.

    There the first block of a unit that changes the width from kin to kout has kin/L groups in its
    secondary convolution, not kout/L: twice the weights, and a second permutation that does not
    undo the first. The authors' ImageNet networks have kout/L, as `IGCNetwork` does.
    """

    pattern: ClassVar[str] = r"igc-l(?P<L>[0-9]{1,4})m(?P<M>[0-9]{1,4})-official" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``igc-l4m8-official``."""
        return f"igc-l{self.L}m{self.M}-official"

    def __post_init__(self) -> None:
        """Refuse networks without shortcuts, which the authors build as `IGCNetwork` does."""
        super().__post_init__()
        if not self.ident:
            raise UnknownNetworkError("-official differs with identity shortcuts only: add -ident")

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """The same layer with c_in/L secondary groups."""
        stride = 1 if c_in == c_out else 2
        return layers.IGC(c_in, c_out, L=self.L, M=c_in // self.L, stride=stride)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 and L24M2 with shortcuts."""
        for partitions, channels in ((4, 8), (24, 2)):
            for depth, classes in itertools.product((20, 38, 62), (10, 100)):
                yield cls(L=partitions, M=channels, depth=depth, ident=True, classes=classes)


class SummationFusion(nn.Module):
    """A K×K convolution in L groups, whose L outputs are summed and handed to every partition.

    It is IGC with all secondary weights 1, so its effective width is M.
    """

    def __init__(self, c_in: int, c_out: int, groups: int, stride: int) -> None:
        super().__init__()
        self.primary = nn.Conv2d(c_in, c_out, 3, stride, 1, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        groups = self.primary.groups
        total: Tensor = self.primary(x).unflatten(1, (groups, -1)).sum(dim=1)
        return total.repeat(1, groups, 1, 1)


@dataclass(frozen=True, kw_only=True)
class SumFusion(Partitioned):
    """SumFusion: summation fusion on the same skeleton.

    The paper's L and M for it are not known to us; the list shows those of the IGC networks.
    """

    pattern: ClassVar[str] = r"sumfusion-l(?P<L>[0-9]{1,4})m(?P<M>[0-9]{1,4})" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``sumfusion-l4m8``."""
        return f"sumfusion-l{self.L}m{self.M}"

    def block(self, c_in: int, c_out: int) -> nn.Module:
        """Summation fusion."""
        return SummationFusion(c_in, c_out, self.L, 1 if c_in == c_out else 2)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """L4M8 at the paper's depths."""
        return cls.members(L=4, M=8)
