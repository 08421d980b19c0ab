"""The cost of a convolution in its place, cached: a search asks for the same ones many times.

For one proposal a search looks at hundreds of networks that differ in few layers.
"""

from functools import lru_cache
from typing import NamedTuple

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.operations import Tally

_CACHE_ENTRIES = 2**16


class Price(NamedTuple):
    """The cost of a convolution.

    Attributes:
        params: weights.
        macs: multiply-adds per image.
        peak_activations: most numbers in memory at once for one image, see `Conv.peak_activations`.
        tally: of its operations; None if its type does not say them.
    """

    params: int
    macs: int
    peak_activations: int
    tally: Tally | None


@lru_cache(maxsize=_CACHE_ENTRIES)
def price(conv: Conv, c_in: int, c_out: int, size: Size, stride: int = 1) -> Price:
    """The cost of a choice from c_in to c_out channels, for input maps of this size."""
    operations = conv.operations(c_in, c_out, stride)
    return Price(
        conv.params(c_in, c_out),
        conv.macs(c_in, c_out, size, stride),
        conv.peak_activations(c_in, c_out, size, stride),
        None if operations is None else Tally.of(operations),
    )
