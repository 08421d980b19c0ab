"""What stands between the paths of an octave convolution, on the kernels of ``octave.c``."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.fast.kernels.calling import POINTER, Functions, Struct, as_rows, call, longs, rows

KERNELS = Functions("octave", dict.fromkeys(("part", "unpart", "join", "unjoin"), [POINTER] * 5))


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
        call(KERNELS["part"], x, fine, coarse, low, shape)
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
        call(KERNELS["unpart"], *given, dx, shape)
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
        call(KERNELS["join"], fine, from_low, low, y, shape)
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
        call(KERNELS["unjoin"], dy, dfine, dfrom_low, dlow, shape)
        return dfine, dfrom_low, dlow


def _shape(x: Tensor, *sizes: int) -> Struct:
    """The struct of that name in ``octave.c``."""
    return longs(*sizes, x.dtype is torch.bfloat16)
