"""Depthwise 3×3 convolutions of stride 1, on the kernels of ``depthwise.c``."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import convolving
from nas_space.kernels.convolving import Kernels, compiled, size_of


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    return compiled("depthwise", _describe, torch.contiguous_format)


def _describe(
    source: Tensor,
    target: Tensor,  # noqa: ARG001 - see `convolving.Describe`
    weight: Tensor,  # noqa: ARG001
    *,
    stride: int,  # noqa: ARG001
    spread: int,  # noqa: ARG001
) -> tuple[int, ...]:
    half = source.dtype is torch.bfloat16
    return (source.shape[0], *size_of(source), source.shape[1], half)


class DepthwiseFunction(torch.autograd.Function):
    """A 3×3 convolution of stride 1 with padding 1, each channel by itself.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, C, H, W) in
    channels_last, float32 or bfloat16; weight (C, 1, 3, 3) float32; both on the CPU.

    Weights and sums are float32 for either. There is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Map x to (N, C, H, W)."""
        return convolving.forward(ctx, kernels(), x, weight, 1)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        return convolving.backward(ctx, kernels(), dy)
