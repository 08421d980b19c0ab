"""The layers of a residual block: two that can be chosen, and what stands beside them."""

from dataclasses import dataclass
from functools import lru_cache

from nas_space.convs import Conv, InvalidChoiceError
from nas_space.convs.regular import Regular
from nas_space.spaces.architecture import InvalidArchitectureError, Layer

POINTWISE = Regular(kernel=1)
_CACHE_ENTRIES = 2**16
"""Layers: a search makes hundreds of networks a proposal, which share most of theirs."""


def hidden_width(width: int, ratio: float) -> int:
    """Channels of a layer that has so many for one of a width; at least 1."""
    return max(1, round(width * ratio))


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """The layers of a residual block.

    Attributes:
        name: of the block, e.g. ``stage1.block2``.
        first: the convolution that takes the stride, from the block's input to its hidden width.
        second: the convolution behind it.
        shortcut: the 1×1 projection; None where the shortcut is the identity.
        pooled: whether the block works on 2×2 averages of its input.
    """

    name: str
    first: Layer
    second: Layer
    shortcut: Layer | None
    pooled: bool


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


@lru_cache(maxsize=_CACHE_ENTRIES)
def begin(block: str, conv: Conv, c_in: int, widths: tuple[int, int], down: str) -> BlockSite:
    """Where a block begins; widths are those of its inside and of its output."""
    hidden, width = widths
    stride = 2 if down == "strided" else 1
    layer = _fitting(f"{block}.conv1", conv, c_in, hidden, stride)
    projection = None
    if stride > 1 or c_in != width:
        projection = Layer(f"{block}.shortcut", POINTWISE, c_in, width, stride)
    pooled = down == "pooled"
    return BlockSite(layer, projection, pooled, weights=conv.params(c_in, hidden))


@lru_cache(maxsize=_CACHE_ENTRIES)
def end(block: str, conv: Conv, widths: tuple[int, int]) -> BlockSite:
    """Where a block ends."""
    hidden, width = widths
    layer = _fitting(f"{block}.conv2", conv, hidden, width)
    return BlockSite(layer, weights=conv.params(hidden, width))


def _fitting(name: str, conv: Conv, c_in: int, c_out: int, stride: int = 1) -> Layer:
    """A layer whose choice fits its widths."""
    try:
        conv.check(c_in, c_out)
    except InvalidChoiceError as error:
        raise InvalidArchitectureError(f"{name}: {error}") from None
    return Layer(name, conv, c_in, c_out, stride)
