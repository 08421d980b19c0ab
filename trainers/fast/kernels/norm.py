"""Batch normalisation in training with its ReLU and residual, on the kernels of ``norm.c``."""

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.fast.kernels.calling import POINTER, Functions, as_rows, call, keep, kept

_SIZES, _FLAGS = [ctypes.c_long] * 2, [ctypes.c_int] * 2
KERNELS = Functions(
    "norm",
    {
        "forward": [*[POINTER] * 9, *_SIZES, *[ctypes.c_double] * 2, *_FLAGS],
        "backward": [*[POINTER] * 8, *_SIZES, *_FLAGS],
    },
)


@dataclass(frozen=True, slots=True)
class Running:
    """Statistics (C,) that move with every batch, by a share of `momentum`; eps of the variance.

    ``batches`` is the number of them, int64.
    """

    mean: Tensor
    var: Tensor
    batches: Tensor
    momentum: float
    eps: float


class NormActFunction(torch.autograd.Function):
    """``relu(batch_norm(x) + residual)`` in training; without a residual also without the ReLU.

    C is given bare pointers, so who calls `apply` vouches for them: all on the CPU; x and residual
    (N, C, H, W) of one shape in channels_last, both float32 or both bfloat16, with more than one
    value a channel; weight, bias and running statistics (C,) float32 and contiguous.

    Statistics and the parameters' gradients are float32. There is no second derivative.

    Source: Ioffe and Szegedy, arXiv 1502.03167.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        running: Running,
        relu: bool,
    ) -> Tensor:
        """Map x (N, C, H, W) and the residual to y of the same shape and type."""
        channels = x.shape[1]
        y = torch.empty_like(x)
        saved = torch.empty(4, channels, dtype=torch.float32, device="cpu")
        call(
            KERNELS["forward"],
            x,
            residual,
            weight,
            bias,
            running.mean,
            running.var,
            y,
            saved,
            running.batches,
            x.numel() // channels,
            channels,
            running.momentum,
            running.eps,
            x.dtype is torch.bfloat16,
            relu,
        )
        ctx.relu = relu
        # Without a residual backward finds the ReLU's mask from x, which it reads anyway.
        keep(ctx, x, saved, y if residual is not None else None)
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x, residual, weight and bias from y's."""
        x, saved, y = kept(ctx)
        channels = x.shape[1]
        # They may have other strides now.
        x, dy, saved = as_rows(x), as_rows(dy), saved.contiguous()
        y = as_rows(y) if y is not None else None
        dx = torch.empty_like(x)
        dresidual = torch.empty_like(x) if y is not None else None
        parameters = torch.empty(2, channels, dtype=torch.float32, device="cpu")
        dweight, dbias = parameters.unbind()
        call(
            KERNELS["backward"],
            dy,
            x,
            y,
            saved,
            dx,
            dresidual,
            dweight,
            dbias,
            x.numel() // channels,
            channels,
            x.dtype is torch.bfloat16,
            ctx.relu,
        )
        return dx, dresidual, dweight, dbias, None, None
