"""RegConv-W: the regular networks that the IGC paper (arXiv 1707.02725) compares with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from nas_space.convs import Conv
from nas_space.convs.regular import Regular
from nas_space.papers.grouped._cifar import TAIL, WideCifarNetwork


@dataclass(frozen=True, kw_only=True)
class RegConv(WideCifarNetwork):
    """Every block is a regular 3×3 convolution."""

    pattern: ClassVar[str] = r"regconv-w(?P<width>[0-9]{1,4})" + TAIL

    @property
    def label(self) -> str:
        """E.g. ``regconv-w16``."""
        return f"regconv-w{self.width}"

    def conv(self, c_in: int, c_out: int) -> Conv:  # noqa: ARG002 - the same at every width
        """A regular convolution."""
        return Regular()

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """W16 and W18."""
        for width in (16, 18):
            yield from cls.members(width=width)
