"""Dense 3×3 convolutions by minimal filtering, on the kernels of ``winograd.c``."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_space.kernels import library
from nas_space.kernels.calling import call, rows, size_of

_POINTER = ctypes.c_void_p
_CORRELATE = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4, ctypes.c_int)
_PRODUCTS = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4)
_LANES = ctypes.CFUNCTYPE(ctypes.c_int)
TILE = 4
"""Pixels of a tile's side: maps are computed in whole tiles."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """``winograd_correlate`` and ``winograd_products`` of ``winograd.c``, as it says.

    Attributes:
        lanes: what numbers of channels must be multiples of.
    """

    correlate: Callable[..., int]
    products: Callable[..., int]
    lanes: int


@cache
def kernels() -> Kernels | None:
    """The compiled kernels, or None where they cannot be had."""
    compiled = library("winograd")
    if compiled is None:
        return None
    return Kernels(
        _CORRELATE(("winograd_correlate", compiled)),
        _PRODUCTS(("winograd_products", compiled)),
        _LANES(("winograd_lanes", compiled))(),
    )


class WinogradFunction(torch.autograd.Function):
    """A 3×3 convolution of stride 1 with padding 1.

    The kernels are handed pointers, so who calls `apply` vouches for them: x is (N, c_in, H, W) in
    channels_last, weight (c_out, c_in, 3, 3), both float32 on the CPU; c_in and c_out are multiples
    of the kernels' lanes.

    A number's error is about ten times that of a convolution as defined, a few millionths of the
    largest. There is no second derivative.

    Source: Lavin and Gray, arXiv 1509.09308, F(4×4, 3×3).
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
    ) -> Tensor:
        """Map x to (N, c_out, H, W)."""
        weight = weight.contiguous()  # it may be in channels_last
        ctx.save_for_backward(x, weight)
        y = rows(x, weight.shape[0], size_of(x))
        call(_kernels().correlate, x, weight, y, _shape(x, y), 0)
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
            call(_kernels().correlate, dy, weight, dx, _shape(dy, dx), 1)
        if ctx.needs_input_grad[1]:
            dweight = torch.empty_like(weight)
            call(_kernels().products, x, dy, dweight, _shape(x, dy))
        return dx, dweight


def _shape(source: Tensor, target: Tensor) -> "ctypes.Array[ctypes.c_long]":
    """The struct of that name in ``winograd.c``."""
    row = (source.shape[0], *size_of(source), source.shape[1], target.shape[1])
    return (ctypes.c_long * len(row))(*row)


def _kernels() -> Kernels:
    found = kernels()
    assert found is not None  # noqa: S101 - who calls the function has asked
    return found
