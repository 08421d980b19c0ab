"""The layers of a residual block: those that can be chosen, and what stands beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nas_space.convs import Conv, InvalidChoiceError
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.operations import Operations
from nas_space.spaces.architecture import InvalidArchitectureError, Layer

POINTWISE = Regular(kernel=1)
_CACHE_ENTRIES = 2**16
"""Layers: a search makes hundreds of networks a proposal, which share most of theirs."""


def hidden_width(width: int, ratio: float) -> int:
    """Channels of a layer that has so many for one of a width; at least 1."""
    return max(1, round(width * ratio))


def known_operations(conv: Conv, c_in: int, c_out: int, stride: int) -> Operations:
    """The operations of a layer.

    Raises:
        InvalidChoiceError: its type does not say.
    """
    found = conv.operations(c_in, c_out, stride)
    if found is None:
        raise InvalidChoiceError(
            f"the type {conv.kind} of {type(conv).__module__} does not say what a device computes "
            "for it: define its method operations (docs/extending.md), or leave --device out"
        )
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A layer of a block before anything is chosen for it.

    Attributes:
        c_in: channels of its input.
        c_out: channels of its output.
        pointwise: whether its kernel is 1×1, as a bottleneck's first and last one.
        strides: whether it takes the stride, if the block strides.
        late: whether it stands behind the stride.
    """

    c_in: int
    c_out: int
    pointwise: bool = False
    strides: bool = False
    late: bool = False


@lru_cache(maxsize=_CACHE_ENTRIES)
def places(c_in: int, hidden: int, width: int) -> tuple[Place, ...]:
    """The layers of a block of a space: two, or three of one that is narrower inside.

    Args:
        c_in: channels of its input.
        hidden: channels between its convolutions.
        width: channels of its output.
    """
    if hidden >= width:
        return Place(c_in, hidden, strides=True), Place(hidden, width, late=True)
    return (
        Place(c_in, hidden, pointwise=True),
        Place(hidden, hidden, strides=True),
        Place(hidden, width, pointwise=True, late=True),
    )


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """The layers of a residual block.

    Attributes:
        name: of the block, e.g. ``stage1.block2``.
        layers: its convolutions, in order: two, or of a bottleneck three.
        shortcut: the 1×1 projection; None where the shortcut is the identity.
        pooled: whether the block works on 2×2 averages of its input.
    """

    name: str
    layers: tuple[Layer, ...]
    shortcut: Layer | None
    pooled: bool

    def placed(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """Each convolution with the size of its input map, for a block that reads that size.

        The shortcut comes behind the first one, if it is a projection.
        """
        if self.pooled:
            size = out_size(size, 2)
        shortcut, before = self.shortcut, size
        for layer in self.layers:
            yield layer, size
            if shortcut is not None:
                yield shortcut, before
                shortcut = None
            size = out_size(size, layer.stride)

    def behind(self, size: Size) -> Size:
        """The size of its output, for a block that reads a map of some size."""
        *_, (last, here) = self.placed(size)
        return out_size(here, last.stride)

    @property
    def hidden(self) -> int:
        """Channels between its convolutions."""
        return self.layers[0].c_out

    @property
    def width(self) -> int:
        """Channels of its output."""
        return self.layers[-1].c_out


@dataclass(frozen=True, slots=True)
class BlockSite:
    """A layer that can be chosen, with what stands beside it.

    Attributes:
        layer: the one that can be chosen.
        projection: the 1×1 convolution beside the block that begins here, if it needs one.
        pooled: whether 2×2 averages come before the layer.
        weights: of the layer.
    """

    layer: Layer
    projection: Layer | None = None
    pooled: bool = False
    weights: int = 0


def sites(
    block: str, convs: tuple[Conv, ...], c_in: int, widths: tuple[int, int], down: str
) -> Iterator[BlockSite]:
    """The layers of a block.

    Args:
        block: its name.
        convs: its choices.
        c_in: channels of its input.
        widths: channels between its convolutions, and of its output.
        down: one of `nas_space.spaces.residual.stage.DOWNS`.

    Raises:
        InvalidArchitectureError: a choice does not fit its widths.
    """
    hidden, width = widths
    first, *inner, last = convs
    yield _begin(block, first, c_in, widths, down, strides=not inner)
    for conv in inner:
        yield _inside(f"{block}.conv2", conv, hidden, hidden, 2 if down == "strided" else 1)
    yield _inside(f"{block}.conv{len(convs)}", last, hidden, width)


def block_of(
    name: str, convs: tuple[Conv, ...], c_in: int, widths: tuple[int, int], down: str
) -> BlockLayers:
    """A block by itself, see `sites`."""
    return together(list(sites(name, convs, c_in, widths, down)))


def together(block: Sequence[BlockSite]) -> BlockLayers:
    """The block of which these are the layers."""
    first = block[0]
    name = first.layer.name.rpartition(".")[0]
    return BlockLayers(name, tuple(s.layer for s in block), first.projection, first.pooled)


@lru_cache(maxsize=_CACHE_ENTRIES)
def _begin(
    block: str, conv: Conv, c_in: int, widths: tuple[int, int], down: str, *, strides: bool
) -> BlockSite:
    """Where a block begins; whether its first convolution strides where the block does."""
    hidden, width = widths
    stride = 2 if down == "strided" else 1
    layer = _fitting(f"{block}.conv1", conv, c_in, hidden, stride if strides else 1)
    projection = None
    if stride > 1 or c_in != width:
        projection = Layer(f"{block}.shortcut", POINTWISE, c_in, width, stride)
    pooled = down == "pooled"
    return BlockSite(layer, projection, pooled, weights=conv.params(c_in, hidden))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _inside(name: str, conv: Conv, c_in: int, c_out: int, stride: int = 1) -> BlockSite:
    """A convolution behind the first one of its block."""
    layer = _fitting(name, conv, c_in, c_out, stride)
    return BlockSite(layer, weights=conv.params(c_in, c_out))


def _fitting(name: str, conv: Conv, c_in: int, c_out: int, stride: int = 1) -> Layer:
    """A layer whose choice fits its widths."""
    try:
        conv.check(c_in, c_out)
    except InvalidChoiceError as error:
        raise InvalidArchitectureError(f"{name}: {error}") from None
    return Layer(name, conv, c_in, c_out, stride)
