"""The parts of a network's latency: layers that can be timed one by one."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from nas_space.convs import Conv, parse
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace
from nas_space.spaces.residual.stage import behind, entered
from nas_space.spaces.residual.stem import Stem

OTHER = "other"
"""Group of the parts that are not chosen: stem, shortcuts, additions, pool and classifier."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to time, on maps of a size.

    Attributes:
        what: ``layer``, a convolution with normalisation and ReLU; ``add``, the addition of a
            shortcut of c_in channels; ``pool``, their 2×2 averages; ``head``, global pool and
            classifier.
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
        """Multiply-adds for one image; additions and averages have none."""
        if self.what in {"add", "pool"}:
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
    """Every part of a residual network; the latency is about the sum of theirs."""
    assert isinstance(architecture, ResidualArchitecture)  # noqa: S101 - no other is predicted
    stem, width = architecture.stem, architecture.stages[0].width
    yield _stem(stem, width, task)
    size = out_size(task.size, stem.stride)
    for block in architecture.blocks():
        first, second, before = block.first, block.second, width
        hidden, width = first.c_out, second.c_out
        if block.pooled and size != (1, 1):
            yield _pool(before, size)
            size = out_size(size, 2)
        yield layer(first.conv, before, hidden, size, first.stride)
        if block.shortcut is not None:
            yield _shortcut(before, width, size, first.stride)
        size = out_size(size, first.stride)
        yield layer(second.conv, hidden, width, size, 1)
        yield _add(width, size)
    yield _head(width, size, task.classes)


def every_part(space: ResidualSpace, task: Task) -> list[Part]:
    """Every part that a network of the space may have, each once."""
    stems = [Stem.read(text) for text in space.stems]
    found: dict[Part, None] = {
        _stem(stem, width, task): None for stem, width in itertools.product(stems, space.widths[0])
    }
    sizes, before = {out_size(task.size, stem.stride) for stem in stems}, space.widths[0]
    for s, widths in enumerate(space.widths):
        pairs = list(itertools.product(before, widths) if s else ((w, w) for w in widths))
        inside = {behind(size, down) for size in sizes for down in space.downs_of(s)}
        for size, down in itertools.product(sizes, space.downs_of(s)):
            found |= dict.fromkeys(_entering(space, pairs, size, down))
        for size in inside:
            found |= dict.fromkeys(_inside(space, widths, size))
        for width, size in itertools.product(widths, inside):
            found[_head(width, size, task.classes)] = None
        sizes, before = inside, widths
    return list(found)


def _entering(
    space: ResidualSpace, pairs: Iterable[tuple[int, int]], size: Size, down: str
) -> Iterator[Part]:
    """What stands where a stage begins, between these widths."""
    here, stride = entered(size, down)
    for c_in, width in pairs:
        if here != size:
            yield _pool(c_in, size)
        if stride > 1 or c_in != width:
            yield _shortcut(c_in, width, here, stride)
        for hidden in space.hidden(width):
            yield from (layer(c, c_in, hidden, here, stride) for c in space.choices(c_in, hidden))


def _inside(space: ResidualSpace, widths: Iterable[int], size: Size) -> Iterator[Part]:
    """What stands in stages of these widths, on maps of a size."""
    for width in widths:
        yield _add(width, size)
        for hidden in space.hidden(width):
            for c_in, c_out in ((width, hidden), (hidden, width)):
                yield from (layer(c, c_in, c_out, size, 1) for c in space.choices(c_in, c_out))


def _stem(stem: Stem, width: int, task: Task) -> Part:
    places = task.channels, width, task.size, stem.stride
    return Part("layer", str(stem.conv), *places, chosen=False)


def _pool(width: int, size: Size) -> Part:
    return Part("pool", str(Regular()), width, width, size, 1, chosen=False)


def _shortcut(c_in: int, c_out: int, size: Size, stride: int) -> Part:
    return Part("layer", str(Regular(kernel=1)), c_in, c_out, size, stride, chosen=False)


def _add(width: int, size: Size) -> Part:
    return Part("add", str(Regular()), width, width, size, 1, chosen=False)


def _head(width: int, size: Size, classes: int) -> Part:
    return Part("head", str(Regular()), width, classes, size, 1, chosen=False)
