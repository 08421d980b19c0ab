"""The parts of a network's latency: layers that can be timed one by one."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from nas_space.convs import Conv, parse
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace

OTHER = "other"
"""Group of the parts that are not chosen: stem, shortcuts, additions, pool and classifier."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to time, on maps of a size.

    Attributes:
        what: ``layer``, a convolution with normalisation and ReLU; ``add``, the addition of a
            shortcut of c_in channels; ``head``, global pool and classifier.
        conv: of a layer, as text, so that a part is a plain row of a file.
        size: of the input map.
        chosen: whether the space chooses this layer; False for stem and shortcut.
    """

    what: str
    conv: str
    c_in: int
    c_out: int
    size: Size
    stride: int
    chosen: bool

    @property
    def group(self) -> str:
        """Parts of one group share a factor: those with the same type of convolution."""
        return parse(self.conv).kind if self.chosen else OTHER

    @property
    def macs(self) -> int:
        """Multiply-adds for one image; an addition has none."""
        if self.what == "add":
            return 0
        if self.what == "head":
            return self.c_in * self.c_out
        return parse(self.conv).macs(self.c_in, self.c_out, self.size, self.stride)

    def row(self) -> list[object]:
        """Plain values, for a file."""
        places = (self.c_in, self.c_out, *self.size, self.stride)
        return [self.what, self.conv, *places, self.chosen]

    @classmethod
    def of(cls, row: list[object]) -> Self:
        """Read `row`.

        Raises:
            ValueError: it is no such row.
        """
        match row:
            case [
                str(what),
                str(conv),
                int(c_in),
                int(c_out),
                int(h),
                int(w),
                int(stride),
                bool(own),
            ]:
                return cls(what, conv, c_in, c_out, (h, w), stride, own)
        raise ValueError("no row of a part")


def layer(conv: Conv, c_in: int, c_out: int, size: Size, stride: int) -> Part:
    """A layer that a space chooses."""
    return Part("layer", str(conv), c_in, c_out, size, stride, chosen=True)


def parts(architecture: Architecture, task: Task) -> Iterator[Part]:
    """Every part of a residual network; its latency is about the sum of theirs."""
    assert isinstance(architecture, ResidualArchitecture)  # noqa: S101 - no other is predicted
    size, stem = task.size, architecture.stem
    width = architecture.stages[0].width
    yield Part("layer", str(stem), task.channels, width, size, 1, chosen=False)
    for block in architecture.blocks():
        first, second, before = block.first, block.second, width
        width = second.c_out
        yield layer(first.conv, before, width, size, first.stride)
        if block.shortcut is not None:
            yield _shortcut(before, width, size, first.stride)
        size = out_size(size, first.stride)
        yield layer(second.conv, width, width, size, 1)
        yield _add(width, size)
    yield _head(width, size, task.classes)


def every_part(space: ResidualSpace, task: Task) -> list[Part]:
    """Every part that a network of the space may have, each once."""
    found: dict[Part, None] = {}
    size, before = task.size, space.widths[0]
    stem = str(Regular())
    for s, widths in enumerate(space.widths):
        stride = 2 if s else 1
        out = out_size(size, stride)
        pairs = itertools.product(before, widths) if s else ((w, w) for w in widths)
        for c_in, c_out in pairs:
            found |= {layer(c, c_in, c_out, size, stride): None for c in space.choices(c_in, c_out)}
            if s:
                found[_shortcut(c_in, c_out, size, stride)] = None
        for width in widths:
            found |= {layer(c, width, width, out, 1): None for c in space.choices(width, width)}
            found[_add(width, out)] = None
            if not s:
                part = Part("layer", stem, task.channels, width, size, 1, chosen=False)
                found[part] = None
            if s == len(space.widths) - 1:
                found[_head(width, out, task.classes)] = None
        size, before = out, widths
    return list(found)


def _shortcut(c_in: int, c_out: int, size: Size, stride: int) -> Part:
    return Part("layer", str(Regular(kernel=1)), c_in, c_out, size, stride, chosen=False)


def _add(width: int, size: Size) -> Part:
    return Part("add", str(Regular()), width, width, size, 1, chosen=False)


def _head(width: int, size: Size, classes: int) -> Part:
    return Part("head", str(Regular()), width, classes, size, 1, chosen=False)
