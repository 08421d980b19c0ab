"""Chains of 1×1 group convolutions and channel shuffles, on the kernels of ``mixing.c``."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.fast.kernels.calling import (
    POINTER,
    Functions,
    Struct,
    as_rows,
    call,
    keep,
    kept,
    longs,
)

STAGES = 3
"""Convolutions of a chain at most."""

KERNELS = Functions("mixing", {"forward": [POINTER] * 6, "backward": [POINTER] * 10})


class MixingFunction(torch.autograd.Function):
    """Up to three 1×1 group convolutions, a channel shuffle before the first and after each.

    The i-th has groups of K_i channels. The channels' numbers have digits of radices ``inner``,
    K_1, K_2, …, whose product divides C, the first of them running fastest; the i-th convolution
    mixes the digit of radix K_i, and shuffles bring it to the front before, and back at the end.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, C, H, W) in
    channels_last, float32 or bfloat16; weights are (C, K_i, 1, 1), float32 and contiguous; all on
    the CPU. There is no second derivative.

    Source: Zhang et al., arXiv 1707.02725, and Xie et al., arXiv 1804.06202: P_n W_n … P_2 W_2.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        inner: int,
        *weights: Tensor,
    ) -> Tensor:
        """Map x (N, C, H, W) to y of the same shape and type."""
        ctx.inner = inner
        keep(ctx, x, *weights)
        y = torch.empty_like(x)
        call(KERNELS["forward"], x, *_three(weights), y, _shape(x, inner, weights))
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and of the weights from y's."""
        x, *weights = kept(ctx)
        # They may have other strides now.
        x, dy, weights = as_rows(x), as_rows(dy), [weight.contiguous() for weight in weights]
        dx = torch.empty_like(x)
        gradients = [torch.zeros_like(weight) for weight in weights]
        shape = _shape(x, ctx.inner, weights)
        call(KERNELS["backward"], x, dy, *_three(weights), dx, *_three(gradients), shape)
        return dx, None, *gradients


def _three(parts: "tuple[Tensor, ...] | list[Tensor]") -> tuple[Tensor | None, ...]:
    return *parts, *[None] * (STAGES - len(parts))


def _shape(x: Tensor, inner: int, weights: "tuple[Tensor, ...] | list[Tensor]") -> Struct:
    """The struct of that name in ``mixing.c``."""
    channels = x.shape[1]
    widths = [*(weight.shape[1] for weight in weights), 0, 0][:STAGES]
    half = x.dtype is torch.bfloat16
    return longs(x.numel() // channels, channels, inner, len(weights), *widths, half)
