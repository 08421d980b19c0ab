"""What stands between the paths of an octave convolution, on the kernels of ``octave.c``."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.fast.kernels import library
from trainers.fast.kernels.calling import as_rows, call, longs, rows

_KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 5)


@dataclass(frozen=True, slots=True)
class Kernels:
    """The functions of ``octave.c``, which says what they take."""

    part: Callable[..., int]
    unpart: Callable[..., int]
    join: Callable[..., int]
    unjoin: Callable[..., int]


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    found = library("octave")
    if found is None:
        return None
    names = ("part", "unpart", "join", "unjoin")
    try:
        return Kernels(*(_KERNEL((f"octave_{name}", found)) for name in names))
    except AttributeError:  # another library of that name
        return None


class PartFunction(torch.autograd.Function):
    """The high channels of a map, all of them halved, and the low ones halved.

    The kernels are handed pointers, so who calls `apply` vouches for it: x is (N, C, H, W) of even
    sizes in channels_last, float32 or bfloat16, on the CPU.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        high: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map x to (N, high, H, W), (N, C, H/2, W/2) and (N, C - high, H/2, W/2)."""
        images, channels, height, width = x.shape
        half = (height // 2, width // 2)
        ctx.shape, ctx.high = x.shape, high
        fine = rows(x, high, height, width)
        coarse, low = rows(x, channels, *half), rows(x, channels - high, *half)
        shape = _shape(x, images, height, width, channels, high)
        call(_kernels().part, x, fine, coarse, low, shape)
        return fine, coarse, low

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        *given: Tensor,
    ) -> tuple[Tensor, None]:
        """The gradient of x."""
        given = tuple(map(as_rows, given))
        images, channels, height, width = ctx.shape
        dx = rows(given[0], channels, height, width)
        shape = _shape(dx, images, height, width, channels, ctx.high)
        call(_kernels().unpart, *given, dx, shape)
        return dx, None


class JoinFunction(torch.autograd.Function):
    """High and low maps side by side, the low ones doubled, and others doubled added to the high.

    As for `PartFunction`: all in channels_last, of one type, of even sizes.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        fine: Tensor,
        from_low: Tensor,
        low: Tensor,
    ) -> Tensor:
        """Map (N, C, H, W), (N, C, H/2, W/2) and (N, C', H/2, W/2) to (N, C + C', H, W)."""
        images, high, height, width = fine.shape
        channels = high + low.shape[1]
        ctx.high = high
        y = rows(fine, channels, height, width)
        shape = _shape(y, images, height, width, channels, high)
        call(_kernels().join, fine, from_low, low, y, shape)
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of the three."""
        dy = as_rows(dy)
        images, channels, height, width = dy.shape
        high, half = ctx.high, (height // 2, width // 2)
        dfine = rows(dy, high, height, width)
        dfrom_low, dlow = rows(dy, high, *half), rows(dy, channels - high, *half)
        shape = _shape(dy, images, height, width, channels, high)
        call(_kernels().unjoin, dy, dfine, dfrom_low, dlow, shape)
        return dfine, dfrom_low, dlow


def _shape(x: Tensor, *sizes: int) -> "ctypes.Array[ctypes.c_long]":
    """The struct of that name in ``octave.c``."""
    return longs(*sizes, x.dtype is torch.bfloat16)


def _kernels() -> Kernels:
    found = kernels()
    assert found is not None  # noqa: S101 - who calls the functions has asked
    return found
