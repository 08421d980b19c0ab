"""What C kernels for convolutions share: how they are found, called and differentiated."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.fast.kernels.calling import POINTER, Functions, as_rows, call, keep, kept, longs, rows

_ARGUMENTS: Mapping[str, Sequence[type]] = {
    "correlate": [*[POINTER] * 4, ctypes.c_int],
    "products": [POINTER] * 4,
    "lanes": [],
}


class Shape(NamedTuple):
    """What a convolution is asked for: K×K, K odd, padding K/2, no bias.

    Attributes:
        images: N.
        c_in: channels of the input.
        c_out: channels of the output.
        groups: of the convolution.
        height: of the input map, in pixels.
        width: of the input map, in pixels.
        kernel: K.
        stride: down and across.
        half: whether activations are bfloat16; else they are float32. Weights are float32.
    """

    images: int
    c_in: int
    c_out: int
    groups: int
    height: int
    width: int
    kernel: int
    stride: int
    half: bool

    @property
    def group_in(self) -> int:
        """Input channels of a group."""
        return self.c_in // self.groups

    @property
    def group_out(self) -> int:
        """Output channels of a group."""
        return self.c_out // self.groups

    @property
    def size_out(self) -> tuple[int, int]:
        """Height and width of the output map."""
        return -(-self.height // self.stride), -(-self.width // self.stride)


@dataclass(frozen=True, slots=True)
class Direction:
    """A call of a kernel: from the input to the output, or for a gradient the other way.

    Attributes:
        shape: of the convolution.
        source: channels, height and width of what is read.
        target: channels, height and width of what is written.
        stride: pixels of the source from one of the target to the next.
        spread: distance between pixels of the source; zeros fill the gaps.
    """

    shape: Shape
    source: tuple[int, int, int]
    target: tuple[int, int, int]
    stride: int
    spread: int


@dataclass(frozen=True)
class ConvKernel:
    """``NAME_correlate`` and ``NAME_products`` of ``NAME.c``, which says what they take.

    Attributes:
        name: of the C file.
        serves: whether it can compute a convolution, given the lanes of a vector.
        describe: makes the numbers of the file's struct ``shape``.
        layout: how weights lie in memory.
    """

    name: str
    serves: Callable[[Shape, int], bool]
    describe: Callable[[Direction], tuple[int, ...]]
    layout: torch.memory_format

    @cached_property
    def functions(self) -> Functions:
        """The functions of the C file."""
        return Functions(self.name, _ARGUMENTS)

    @property
    def lanes(self) -> int | None:
        """Numbers of a vector; None where the kernel cannot be had."""
        return self.functions["lanes"]() if self.functions.exist() else None


@cache
def _arguments(kernel: ConvKernel, shape: Shape) -> tuple[Any, Any]:
    """The struct of the call from input to output, and of the one back."""
    source = (shape.c_in, shape.height, shape.width)
    target = (shape.c_out, *shape.size_out)
    there = Direction(shape, source, target, shape.stride, 1)
    back = Direction(shape, target, source, 1, shape.stride)
    return longs(*kernel.describe(there)), longs(*kernel.describe(back))


class ConvolutionFunction(torch.autograd.Function):
    """A K×K convolution with padding K/2 by a C kernel, dense or in groups.

    x is (N, c_in, H, W) in channels_last and weight (c_out, c_in/groups, K, K) float32, both on
    the CPU. Callers check `ConvKernel.serves` first. There is no second derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        weight: Tensor,
        kernel: ConvKernel,
        shape: Shape,
    ) -> Tensor:
        """Map x to (N, c_out, ceil(H/stride), ceil(W/stride)) of its type."""
        ctx.kernel, ctx.shape = kernel, shape
        weight = weight.contiguous(memory_format=kernel.layout)
        keep(ctx, x, weight)
        y = rows(x, shape.c_out, *shape.size_out)
        call(kernel.functions["correlate"], x, weight, y, _arguments(kernel, shape)[0], 0)
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and weight from y's."""
        kernel, shape = ctx.kernel, ctx.shape
        # They may have other strides now.
        x, weight = kept(ctx)
        x, dy, weight = as_rows(x), as_rows(dy), weight.contiguous(memory_format=kernel.layout)
        there, back = _arguments(kernel, shape)
        dx = dweight = None
        if ctx.needs_input_grad[0]:
            dx = rows(x, shape.c_in, shape.height, shape.width)
            call(kernel.functions["correlate"], dy, weight, dx, back, 1)
        if ctx.needs_input_grad[1]:
            dweight = torch.empty_like(weight)
            call(kernel.functions["products"], x, dy, dweight, there)
        return dx, dweight, None, None
