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
from nas_space.spaces.residual.blocks import BlockLayers, places
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
    stem, size = architecture.stem, architecture.stem.behind(task.size)
    width = architecture.stages[0].narrow
    yield from of_stem(stem, width, task)
    for block in architecture.blocks():
        yield from of_block(block, size)
        width, size = block.width, block.behind(size)
    if architecture.head is not None:
        yield _pointwise(width, architecture.head, size)
        width = architecture.head
    yield _head(width, size, task.classes)


def of_block(block: BlockLayers, size: Size) -> Iterator[Part]:
    """The parts of a block that reads a map of some size."""
    width = block.layers[0].c_in or 0
    if block.pooled and size != (1, 1):
        yield _pool(width, size)
    for found, here in block.placed(size):
        if found is block.shortcut:
            yield _pointwise(width, block.width, here, found.stride)
        else:
            yield layer(found.conv, found.c_in or 0, found.c_out, here, found.stride)
    yield _add(block.width, block.behind(size))


def of_stem(stem: Stem, width: int, task: Task) -> Iterator[Part]:
    """The parts of a stem of some width."""
    places = task.channels, width, task.size, stem.stride
    yield Part("layer", str(stem.conv), *places, chosen=False)
    if stem.pooled:
        yield _pool(width, out_size(task.size, stem.stride))


def every_part(space: ResidualSpace, task: Task) -> list[Part]:
    """Every part that a network of the space may have, each once."""
    stems = [Stem.read(text) for text in space.stems]
    found: dict[Part, None] = {}
    for stem, width in itertools.product(stems, space.widths[0]):
        found |= dict.fromkeys(of_stem(stem, width, task))
    sizes, before = {stem.behind(task.size) for stem in stems}, list(space.widths[0])
    for s, widths in enumerate(space.widths):
        # The first stage is as narrow as its stem.
        blocks = [
            (c_in, *shape)
            for width in widths
            for shape in space.shapes(width)
            for c_in in (before if s else [width])
        ]
        for size, down in itertools.product(sizes, space.downs_of(s)):
            found |= dict.fromkeys(_block(space, blocks, size, down))
        sizes = {behind(size, down) for size in sizes for down in space.downs_of(s)}
        before = list(dict.fromkeys(width for _, width, _ in blocks))
        for size in sizes:
            found |= dict.fromkeys(_block(space, [(w, w, h) for _, w, h in blocks], size, "none"))
            found |= dict.fromkeys(_ends(space, before, size, task.classes))
    return list(found)


def _block(
    space: ResidualSpace, blocks: Iterable[tuple[int, int, int]], size: Size, down: str
) -> Iterator[Part]:
    """The parts of blocks, given as channels of the input, of the output and inside."""
    here, stride = entered(size, down)
    inside = behind(size, down)
    for c_in, width, hidden in blocks:
        if here != size:
            yield _pool(c_in, size)
        if stride > 1 or c_in != width:
            yield _pointwise(c_in, width, here, stride)
        yield _add(width, inside)
        for place in places(c_in, hidden, width):
            reads = inside if place.late else here
            for conv in space.choices(place):
                yield layer(conv, place.c_in, place.c_out, reads, stride if place.strides else 1)


def _ends(space: ResidualSpace, widths: Iterable[int], size: Size, classes: int) -> Iterator[Part]:
    """What stands behind a last stage of any of these widths."""
    for width, head in itertools.product(widths, space.heads):
        if head:
            yield _pointwise(width, head, size)
        yield _head(head or width, size, classes)


def _pool(width: int, size: Size) -> Part:
    return Part("pool", str(Regular()), width, width, size, 1, chosen=False)


def _pointwise(c_in: int, c_out: int, size: Size, stride: int = 1) -> Part:
    return Part("layer", str(Regular(kernel=1)), c_in, c_out, size, stride, chosen=False)


def _add(width: int, size: Size) -> Part:
    return Part("add", str(Regular()), width, width, size, 1, chosen=False)


def _head(width: int, size: Size, classes: int) -> Part:
    return Part("head", str(Regular()), width, classes, size, 1, chosen=False)
