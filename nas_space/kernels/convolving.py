"""What C kernels for convolutions have in common: how they are found, called, differentiated."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nas_space.convs.base import Size, out_size
from nas_space.kernels import library
from nas_space.kernels.calling import call, rows

_POINTER = ctypes.c_void_p
_CORRELATE = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4, ctypes.c_int)
_PRODUCTS = ctypes.CFUNCTYPE(ctypes.c_int, *[_POINTER] * 4)
_LANES = ctypes.CFUNCTYPE(ctypes.c_int)


class Describe(Protocol):
    """Makes the struct ``shape`` of a C file, all of whose fields are longs."""

    def __call__(
        self, source: Tensor, target: Tensor, weight: Tensor, *, stride: int, spread: int
    ) -> tuple[int, ...]:
        """Of a call that maps source (N, C, H, W) to target, or gradients the same way."""
        ...


@dataclass(frozen=True, slots=True)
class Kernels:
    """``NAME_correlate`` and ``NAME_products`` of ``NAME.c``, which says what they take.

    Attributes:
        correlate: computes a target, or the gradient of a source.
        products: computes the gradient of the weights.
        lanes: numbers of a vector.
        describe: makes what the other two call their shape.
        layout: how weights lie in memory.
    """

    correlate: Callable[..., int]
    products: Callable[..., int]
    lanes: int
    describe: Describe
    layout: torch.memory_format


def compiled(name: str, describe: Describe, layout: torch.memory_format) -> Kernels | None:
    """The kernels of ``name.c``, or None where they cannot be had."""
    found = library(name)
    if found is None:
        return None
    return Kernels(
        _CORRELATE((f"{name}_correlate", found)),
        _PRODUCTS((f"{name}_products", found)),
        _LANES((f"{name}_lanes", found))(),
        describe,
        layout,
    )


def is_plain(conv: nn.Conv2d) -> bool:
    """Whether a convolution is of the kind that kernels compute: square, odd, padded with zeros."""
    side, stride = conv.kernel_size[0], conv.stride[0]
    return (
        side % 2 == 1
        and (conv.kernel_size, conv.stride) == ((side, side), (stride, stride))
        and (conv.padding, conv.dilation) == ((side // 2, side // 2), (1, 1))
        and conv.padding_mode == "zeros"
        and conv.bias is None
    )


def suits(x: Tensor, c_in: int, weight: Tensor) -> bool:
    """Whether kernels may be handed pointers to x and the weight; others are torch's to refuse."""
    half = torch.is_autocast_enabled(x.device.type)
    return (
        x.dim() == 4  # noqa: PLR2004 - (N, C, H, W)
        and x.shape[1] == c_in
        and x.dtype is (torch.bfloat16 if half else torch.float32)
        and weight.dtype is torch.float32
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.get_num_threads() == 1
    )


def size_of(x: Tensor) -> Size:
    """Height and width of maps (N, C, H, W)."""
    return x.shape[2], x.shape[3]


def grouping(source: Tensor, target: Tensor, weight: Tensor) -> tuple[int, int, int]:
    """Groups, and the channels that one has of the source and of the target."""
    c_out, width = weight.shape[:2]
    # One of the two has c_out channels, the other as many as the convolution's input.
    groups = (source.shape[1] + target.shape[1] - c_out) // width
    return groups, source.shape[1] // groups, target.shape[1] // groups


def forward(
    ctx: Any,  # noqa: ANN401 - torch's own, untyped
    kernels: Kernels | None,
    x: Tensor,
    weight: Tensor,
    stride: int,
) -> Tensor:
    """Map x (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride)) of its type."""
    assert kernels is not None  # noqa: S101 - who calls the function has asked
    weight = weight.contiguous(memory_format=kernels.layout)
    ctx.stride = stride
    ctx.save_for_backward(x, weight)
    y = rows(x, weight.shape[0], out_size(size_of(x), stride))
    _call(kernels, kernels.correlate, x, y, weight, (x, weight, y), 0, stride=stride)
    return y


def backward(
    ctx: Any,  # noqa: ANN401
    kernels: Kernels | None,
    dy: Tensor,
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of x and weight from y's."""
    assert kernels is not None  # noqa: S101 - there was a forward
    x, weight = ctx.saved_tensors
    dy = dy.contiguous(memory_format=torch.channels_last)
    dx = dweight = None
    if ctx.needs_input_grad[0]:
        dx = rows(x, x.shape[1], size_of(x))
        _call(kernels, kernels.correlate, dy, dx, weight, (dy, weight, dx), 1, spread=ctx.stride)
    if ctx.needs_input_grad[1]:
        dweight = torch.empty_like(weight)
        _call(kernels, kernels.products, x, dy, weight, (x, dy, dweight), stride=ctx.stride)
    return dx, dweight


def _call(  # noqa: PLR0913 - a call in C
    kernels: Kernels,
    kernel: Callable[..., int],
    source: Tensor,
    target: Tensor,
    weight: Tensor,
    given: tuple[Tensor, ...],
    *flags: int,
    stride: int = 1,
    spread: int = 1,
) -> None:
    row = kernels.describe(source, target, weight, stride=stride, spread=spread)
    call(kernel, *given, (ctypes.c_long * len(row))(*row), *flags)
