"""Convolutions in narrow groups, on the kernels of ``grouped.c``."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.convs.base import Size, out_size
from nas_space.kernels import library
from nas_space.kernels.calling import call, rows, size_of

_POINTER = ctypes.c_void_p
_CORRELATE = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4, ctypes.c_int)
_PRODUCTS = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4)
_LANES = ctypes.CFUNCTYPE(ctypes.c_int)
GROUPS = (1, 2, 4, 8, 16)
"""Channels of a group that are compiled."""
SIDES = (3,)
"""Likewise of the kernel."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """``grouped_correlate`` and ``grouped_products`` of ``grouped.c``, which says what they take.

    Attributes:
        lanes: what the number of channels must be a multiple of.
    """

    correlate: Callable[..., int]
    products: Callable[..., int]
    lanes: int


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    compiled = library("grouped")
    if compiled is None:
        return None
    return Kernels(
        _CORRELATE(("grouped_correlate", compiled)),
        _PRODUCTS(("grouped_products", compiled)),
        _LANES(("grouped_lanes", compiled))(),
    )


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
        weight = weight.contiguous()  # it may be in channels_last
        ctx.stride = stride
        ctx.save_for_backward(x, weight)
        y = rows(x, x.shape[1], out_size(size_of(x), stride))
        shape = _shape(x, size_of(x), size_of(y), weight, stride=stride)
        call(_kernels().correlate, x, weight, y, shape, 0)
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        x, weight = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = dweight = None
        if ctx.needs_input_grad[0]:
            dx = rows(x, x.shape[1], size_of(x))
            shape = _shape(dy, size_of(dy), size_of(x), weight, spread=ctx.stride)
            call(_kernels().correlate, dy, weight, dx, shape, 1)
        if ctx.needs_input_grad[1]:
            dweight = torch.empty_like(weight)
            shape = _shape(x, size_of(x), size_of(dy), weight, stride=ctx.stride)
            call(_kernels().products, x, dy, dweight, shape)
        return dx, dweight, None


def _shape(
    x: Tensor, source: Size, target: Size, weight: Tensor, *, stride: int = 1, spread: int = 1
) -> "ctypes.Array[ctypes.c_long]":
    """The struct of that name in ``grouped.c``."""
    _, group, kernel, _ = weight.shape
    half = x.dtype is torch.bfloat16
    row = (x.shape[0], x.shape[1], *source, *target, group, kernel, stride, spread, half)
    return (ctypes.c_long * len(row))(*row)


def _kernels() -> Kernels:
    found = kernels()
    assert found is not None  # noqa: S101 - who calls the function has asked
    return found
