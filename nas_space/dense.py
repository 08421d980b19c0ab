"""Dense 3×3 convolutions as a CPU computes them fast in training: the same function.

In fp32 a CPU is bound by multiplications, and Winograd's minimal filtering does with a quarter of
them, at the price of one digit. Forward and backward on one core with AVX2, batch 128, torch's and
ours: 16 channels of 32×32 23.7 and 17.4 ms, 32 of 16×16 23.2 and 12.2 ms, 64 of 8×8 21.8 and 11.3
ms. In bf16, where it is fast, multiplications are cheap and digits dear: there torch's stay.

Parameters, and what they mean, are untouched.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.eager import eager
from nas_space.kernels.winograd import TILE, WinogradFunction, kernels
from nas_space.planned import Planned, Way

_FEWEST_TILES = 64
"""Fewer do not pay for the weights' transforms."""
_WIDEST = 128
"""Transformed, the weights of more channels do not fit a CPU's cache: 0.5 of torch's time with 128
channels, 1.0 to 1.3 with 256."""
_MOST_WASTE = 1.8
"""Pixels of whole tiles for each pixel of a map: a map of 3×3 is a tile of 4×4."""


class DenseConv2d(Planned, nn.Conv2d):
    """A `torch.nn.Conv2d` without groups and bias, computed another way in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self.planned(x) if self.training and eager(x) else super().forward(x)

    def ways(self, x: Tensor) -> dict[str, Way]:
        """See `Planned.ways`: ``winograd``, or ``torch``."""
        found: dict[str, Way] = {"torch": super().forward}
        plain = (self.stride, self.padding, self.dilation) == ((1, 1), (1, 1), (1, 1))
        if plain and self.padding_mode == "zeros" and self.bias is None and _pays(x, self.weight):
            return {"winograd": self._by_winograd} | found
        return found

    def _by_winograd(self, x: Tensor) -> Tensor:
        y: Tensor = WinogradFunction.apply(x, self.weight)
        return y


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """A K×K convolution of stride 1 with padding K/2, of plain tensors in training.

    Args:
        x: (N, c_in, H, W).
        weight: (c_out, c_in, K, K).
    """
    if _pays(x, weight):
        y: Tensor = WinogradFunction.apply(x, weight)
        return y
    return F.conv2d(x, weight, padding=weight.shape[2] // 2)


def _pays(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels of `nas_space.kernels.winograd` serve, and are likely to be faster."""
    c_out, c_in, *sides = weight.shape
    # The kernels are handed pointers: maps that do not fit are for torch to refuse.
    if x.dim() != 4 or x.shape[1] != c_in:  # noqa: PLR2004 - (N, C, H, W)
        return False
    height, width = x.shape[2:]
    tiles = -(-height // TILE) * -(-width // TILE)
    return (
        sides == [3, 3]
        and x.dtype is weight.dtype is torch.float32
        and not torch.is_autocast_enabled(x.device.type)
        and max(c_in, c_out) <= _WIDEST
        and x.shape[0] * tiles >= _FEWEST_TILES
        and tiles * TILE**2 <= _MOST_WASTE * height * width
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.get_num_threads() == 1
        and (found := kernels()) is not None
        and c_in % found.lanes == c_out % found.lanes == 0
    )
