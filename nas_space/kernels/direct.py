"""Convolutions of maps of few pixels, on the kernels of ``direct.c``."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import convolving
from nas_space.kernels.convolving import Kernels, compiled, grouping, size_of

IMAGES = 8
"""That are computed together at most, and fewer in the same time."""


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    return compiled("direct", _describe, torch.channels_last)


def _describe(
    source: Tensor, target: Tensor, weight: Tensor, *, stride: int, spread: int
) -> tuple[int, ...]:
    sizes = (*size_of(source), *size_of(target))
    groups, *widths = grouping(source, target, weight)
    return (source.shape[0], *sizes, groups, *widths, weight.shape[2], stride, spread)


class DirectFunction(torch.autograd.Function):
    """A K×K convolution with padding K/2, K odd, dense or in groups.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, c_in, H, W) in
    channels_last, weight (c_out, c_in/groups, K, K), both float32 on the CPU.

    There is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
        stride: int,
    ) -> Tensor:
        """Map x to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return convolving.forward(ctx, kernels(), x, weight, stride)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        return *convolving.backward(ctx, kernels(), dy), None
