"""The Xception-like networks on the skeleton of the IGC paper (arXiv 1707.02725)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from nas_space.convs import Conv
from nas_space.convs.xception import Xception
from nas_space.papers.grouped._cifar import TAIL, WideCifarNetwork


@dataclass(frozen=True, kw_only=True)
class XceptionLike(WideCifarNetwork):
    """Depthwise separable blocks in every stage.

    The authors' rule for IGC doubles M, so their networks that start with M = 1 are separable in
    stage 1 alone.
    """

    pattern: ClassVar[str] = r"xception-w(?P<width>[0-9]{1,4})" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``xception-w40``."""
        return f"xception-w{self.width}"

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A separable convolution."""
        return Xception()

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Between IGC-L24M2 and RegConv-W16 in cost; the paper's width is not known to us."""
        return cls.members(width=40)
