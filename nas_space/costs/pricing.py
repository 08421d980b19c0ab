"""What a convolution costs in its place, remembered: a search prices the same ones again and again.

A proposal of a search looks at hundreds of networks, which differ in a few layers.
"""

from functools import lru_cache
from typing import NamedTuple

from nas_space.convs import Conv
from nas_space.convs.base import Size

_CACHE_ENTRIES = 2**16


class Price(NamedTuple):
    """What a convolution costs.

    Attributes:
        params: weights.
        macs: multiply-adds per image.
        peak_activations: most numbers alive at once for one image, see `Conv.peak_activations`.
    """

    params: int
    macs: int
    peak_activations: int


@lru_cache(maxsize=_CACHE_ENTRIES)
def price(conv: Conv, c_in: int, c_out: int, size: Size, stride: int = 1) -> Price:
    """The cost of a choice, from c_in to c_out channels, for input maps of a size."""
    return Price(
        conv.params(c_in, c_out),
        conv.macs(c_in, c_out, size, stride),
        conv.peak_activations(c_in, c_out, size, stride),
    )
