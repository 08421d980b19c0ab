"""3×3 convolutions, dense or in wide groups, by minimal filtering, by ``winograd.c``."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import convolving
from nas_space.kernels.convolving import Kernels, compiled, grouping, size_of

TILE = 4
"""Pixels of a tile's side: maps are computed in whole tiles."""


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    return compiled("winograd", _describe, torch.channels_last)


def _describe(
    source: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    stride: int,  # noqa: ARG001 - see `convolving.Describe`
    spread: int,  # noqa: ARG001
) -> tuple[int, ...]:
    half = source.dtype is torch.bfloat16
    groups, *widths = grouping(source, target, weight)
    return (source.shape[0], *size_of(source), groups, *widths, half)


class WinogradFunction(torch.autograd.Function):
    """A 3×3 convolution of stride 1 with padding 1.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, c_in, H, W) in
    channels_last, float32 or bfloat16; weight (c_out, c_in/groups, 3, 3) float32; both on the CPU.

    Weights and what is between are float32 for either. A number's error is about ten times that of
    a convolution as defined, a few millionths of the largest. There is no second derivative.

    Source: Lavin and Gray, arXiv 1509.09308, F(4×4, 3×3).
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Map x to (N, c_out, H, W)."""
        return convolving.forward(ctx, kernels(), x, weight, 1)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        return convolving.backward(ctx, kernels(), dy)
