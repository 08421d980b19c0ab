"""Convolutions in narrow groups, on the kernels of ``grouped.c``."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import convolving
from nas_space.kernels.convolving import Kernels, compiled, size_of

GROUPS = (1, 2, 4, 8, 16)
"""Channels of a group that are compiled."""
SIDES = (3,)
"""Likewise of the kernel."""


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    return compiled("grouped", _describe, torch.contiguous_format)


def _describe(
    source: Tensor, target: Tensor, weight: Tensor, *, stride: int, spread: int
) -> tuple[int, ...]:
    _, group, kernel, _ = weight.shape
    half = source.dtype is torch.bfloat16
    sizes = (*size_of(source), *size_of(target))
    return (*source.shape[:2], *sizes, group, kernel, stride, spread, half)


class GroupedFunction(torch.autograd.Function):
    """A K×K convolution with padding K/2 in groups with as many inputs as outputs.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, C, H, W) in
    channels_last, float32 or bfloat16, on the CPU; weight (C, w, K, K) float32 with w in
    `GROUPS` and K in `SIDES`; C a multiple of w and of the kernels' lanes.

    There is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
        stride: int,
    ) -> Tensor:
        """Map x to (N, C, ceil(H/stride), ceil(W/stride)) of its type."""
        return convolving.forward(ctx, kernels(), x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        return *convolving.backward(ctx, kernels(), dy), None
