"""Dense convolutions as a CPU computes them fast in training: the same function.

A CPU is bound by multiplications, and Winograd's minimal filtering does with a quarter of them, at
the price of one digit. Forward and backward take 0.44 to 0.7 of torch's time in fp32, on one core,
batch 64, with AVX2 and AVX-512 alike: 0.45 for 64 channels of 8×8 or 16×16, 0.7 for 16 of 32×32. Of
torch's bf16 it is 0.6 to 0.9, though all but what is read and written is fp32.

Maps of a few pixels are bound by their weights, which torch puts in another order in every call,
and half of whose products are with padding: the kernels of `nas_space.kernels.direct` take 0.2 to
0.4 of the time for 2×2 pixels, 0.5 to 0.9 for 4×4 and 8×8. Of 16 products of a 2×2 map with 3×3
weights, those that are not with padding, nine are enough.

A CPU that multiplies whole matrices of bf16 (Intel's AMX) has torch's convolutions in half of the
time of minimal filtering, so there is none in bf16 there. Ours on the same instructions
(`nas_space.kernels.matrices`) lay small maps of many images side by side: 0.5 to 0.9 of torch's
time on 8×8 and smaller ones and with a stride of 2, as fast on larger ones.

A strided 1×1 convolution, as on a shortcut, is one of the pixels that it sees: 0.7 to 0.9 of the
time, for torch's gradient of the others, which are zeros, costs as much as if they were not.

Parameters, and what they mean, are untouched.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.convs.base import area, out_size
from nas_space.cpu import multiplies_matrices
from nas_space.eager import eager
from nas_space.kernels import direct, matrices, winograd
from nas_space.kernels.convolving import is_plain, suits
from nas_space.planned import Planned, Way

_FEWEST_TILES = 64
"""Of minimal filtering: fewer do not pay for the weights' transforms."""
_FEWEST_PAIRS = 48
"""Of an input and an output channel, likewise: fewer leave vectors empty."""
_WIDEST = 256
"""Likewise: transformed, the weights of more channels do not fit a CPU's cache."""
_MOST_WASTE = 1.8
"""Pixels of whole tiles for each pixel of a map: a map of 3×3 is a tile of 4×4."""
_FEW_PIXELS = 16
"""Of a map: up to so many are computed directly, whatever the channels."""
_MULTIPLIED = 2**14
"""Numbers of an image's maps in bf16: up to so many matrices are ours, not torch's."""
_NARROW = 64
"""Up to so many channels, four times as many pixels are."""


class DenseConv2d(Planned, nn.Conv2d):
    """A `torch.nn.Conv2d` without groups and bias, computed another way in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self.planned(x) if self.training and eager(x) else super().forward(x)

    def ways(self, x: Tensor) -> dict[str, Way]:
        """See `Planned.ways`: ``matrices``, ``winograd``, ``direct``, ``thinned``, ``torch``."""
        own = {}
        if is_plain(self):
            own = _ways(x, self.weight, self.stride[0])
            if self._skips_pixels and suits(x, self.weight.shape[1], self.weight):
                own["thinned"] = self._thinned
        return own | {"torch": super().forward}

    @property
    def _skips_pixels(self) -> bool:
        return self.kernel_size == (1, 1) and self.stride[0] > 1

    def _thinned(self, x: Tensor) -> Tensor:
        seen: Tensor = Thinned.apply(x, self.stride[0])
        return F.conv2d(seen, self.weight)


class Thinned(torch.autograd.Function):
    """Every pixel of a map that a 1×1 convolution of some stride sees. No second derivative."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        stride: int,
    ) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H/stride), ceil(W/stride))."""
        ctx.shape, ctx.stride = x.shape, stride
        return x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor, None]:
        """The gradient of x from y's: zeros elsewhere."""
        dx = torch.empty(
            ctx.shape, dtype=dy.dtype, device=dy.device, memory_format=torch.channels_last
        )
        dx.zero_()[:, :, :: ctx.stride, :: ctx.stride] = dy
        return dx, None


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """A K×K convolution of stride 1 with padding K/2, of plain tensors in training.

    Args:
        x: (N, c_in, H, W).
        weight: (c_out, c_in, K, K).
    """
    for way in _ways(x, weight, 1).values():
        return way(x)
    return F.conv2d(x, weight, padding=weight.shape[2] // 2)


def _ways(x: Tensor, weight: Tensor, stride: int) -> dict[str, Way]:
    """Kernels of our own that serve and are likely to be faster than torch's, the best first."""
    c_out, c_in, side, other = weight.shape
    half = torch.is_autocast_enabled(x.device.type)
    fits = side == other and side % 2 == 1 and suits(x, c_in, weight)
    found: dict[str, Way] = {}
    if fits and half and multiplies(x, max(c_in, c_out)):
        found["matrices"] = partial(_by_matrices, weight, stride)
    filterable = fits and (side, stride) == (3, 1) and c_in * c_out >= _FEWEST_PAIRS
    if filterable and filters(x, max(c_in, c_out)) and winograd.kernels() is not None:
        found["winograd"] = partial(_by_winograd, weight)
    if (
        fits
        and not half
        and _is_small(x, stride, max(c_in, c_out))
        and direct.kernels() is not None
    ):
        found["direct"] = partial(_directly, weight, stride)
    return found


def multiplies(x: Tensor, widest: int, numbers: int = _MULTIPLIED) -> bool:
    """Whether a CPU multiplies matrices, and is fast so, for maps x in bf16 and so many channels.

    Args:
        x: (N, C, H, W).
        widest: channels of a group.
        numbers: of an image's maps, at most.
    """
    return (
        multiplies_matrices()
        and x.shape[1:].numel() <= numbers
        and widest <= _WIDEST
        and matrices.kernels() is not None
    )


def filters(x: Tensor, widest: int) -> bool:
    """Whether minimal filtering pays, for maps x and so many channels."""
    if x.dtype is torch.bfloat16 and multiplies_matrices():
        return False
    height, width = x.shape[2:]
    tiles = -(-height // winograd.TILE) * -(-width // winograd.TILE)
    return (
        widest <= _WIDEST
        and x.shape[0] * tiles >= _FEWEST_TILES
        and tiles * winograd.TILE**2 <= _MOST_WASTE * height * width
    )


def _is_small(x: Tensor, stride: int, widest: int) -> bool:
    """Whether direct kernels pay, for maps x and so many channels."""
    if x.shape[0] < direct.IMAGES:
        return False
    pixels = area(out_size((x.shape[2], x.shape[3]), stride))
    return pixels <= (4 if widest <= _NARROW else 1) * _FEW_PIXELS


def _by_winograd(weight: Tensor, x: Tensor) -> Tensor:
    y: Tensor = winograd.WinogradFunction.apply(x, weight)
    return y


def _by_matrices(weight: Tensor, stride: int, x: Tensor) -> Tensor:
    y: Tensor = matrices.MatricesFunction.apply(x, weight, stride)
    return y


def _directly(weight: Tensor, stride: int, x: Tensor) -> Tensor:
    y: Tensor = direct.DirectFunction.apply(x, weight, stride)
    return y
