"""Convolutions of bfloat16, dense or in groups, by a CPU's matrix multiplier, by ``matrices.c``."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import convolving
from nas_space.kernels.convolving import Kernels, compiled, grouping, size_of


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    found = compiled("matrices", _describe, torch.channels_last)
    return found if found is not None and found.lanes > 0 else None


def _describe(
    source: Tensor, target: Tensor, weight: Tensor, *, stride: int, spread: int
) -> tuple[int, ...]:
    sizes = *size_of(source), *size_of(target)
    channels = grouping(source, target, weight)
    return (source.shape[0], *sizes, *channels, weight.shape[2], stride, spread)


class MatricesFunction(torch.autograd.Function):
    """A K×K convolution with padding K/2, K odd.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, c_in, H, W) in
    channels_last, bfloat16; weight (c_out, c_in/groups, K, K) float32; both on the CPU. Weights are
    rounded to bfloat16, sums and the gradient of weights are float32. A CPU without a matrix
    multiplier (Intel's AMX) computes the same, slowly. What is infinite or not a number may reach
    what lies beside it, too: pixels, groups, the next image. There is no second derivative.
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
        """Gradients of x and weight from y's; none of the stride."""
        return (*convolving.backward(ctx, kernels(), dy), None)
