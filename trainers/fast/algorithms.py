"""The algorithms for a convolution: each says what it serves, a table says which one pays."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.weights import block_diagonal
from trainers.fast import table
from trainers.fast.kernels import depthwise, direct, grouped, winograd
from trainers.fast.kernels.convolution import ConvKernel, ConvolutionFunction, Shape
from trainers.fast.sound import Axis, is_sound_in_bf16, is_sound_in_torch

Compute = Callable[[Tensor, Tensor, Shape], Tensor]
"""Maps x (N, c_in, H, W) and a weight (c_out, c_in/groups, K, K) to the convolution's output."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to compute a convolution; all give the same numbers up to rounding.

    Attributes:
        name: as the table has it.
        serves: whether it computes a convolution of that shape at all.
        compute: does it, on plain tensors of the CPU in channels_last.
    """

    name: str
    serves: Callable[[Shape], bool]
    compute: Compute


def convolve(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """A K×K convolution with padding K/2, by the fastest algorithm that serves.

    Args:
        x: (N, c_in, H, W).
        weight: (c_out, c_in/groups, K, K), K odd.
        stride: down and across.
        groups: of the convolution.
    """
    half = x.dtype is torch.bfloat16
    if (
        x.dim() != 4  # noqa: PLR2004 - (N, C, H, W)
        or not x.numel()
        or not in_usual_precision(x)
        or weight.dtype is not torch.float32
        or not (x.is_cpu and weight.is_cpu)
        or not x.is_contiguous(memory_format=torch.channels_last)
        or x.shape[1] != weight.shape[1] * groups
    ):
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, groups)
    images, c_in, height, width = x.shape
    c_out, _, kernel, _ = weight.shape
    shape = Shape(images, c_in, c_out, groups, height, width, kernel, stride, half)
    return fastest(shape).compute(x, weight, shape)


def is_plain_conv(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Whether it is a convolution as kernels compute them: square, odd, padded with zeros."""
    if type(module) is not nn.Conv2d:
        return False
    side, stride = module.kernel_size[0], module.stride[0]
    return (
        side % 2 == 1
        and (module.kernel_size, module.stride) == ((side, side), (stride, stride))
        and (module.padding, module.dilation) == ((side // 2, side // 2), (1, 1))
        and module.padding_mode == "zeros"
        and module.bias is None
    )


def in_usual_precision(x: Tensor) -> bool:
    """Whether a map is float32, or bfloat16 in mixed precision of that type."""
    mixed = torch.is_autocast_enabled("cpu")
    if x.dtype is torch.bfloat16:
        return mixed and torch.get_autocast_dtype("cpu") is torch.bfloat16
    return x.dtype is torch.float32 and not mixed


@cache
def fastest(shape: Shape) -> Algorithm:
    """The fastest algorithm, by the table, of those that serve this shape.

    Without a time in the table it is the first that serves, which is torch's own nearly always.
    """
    times = table.conv_times(shape)
    serving = [found for found in ALGORITHMS if found.serves(shape)]
    timed = [found for found in serving if found.name in times]
    return min(timed, key=lambda found: times[found.name], default=serving[0])


def _by_torch(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    return F.conv2d(x, weight, None, shape.stride, shape.kernel // 2, 1, shape.groups)


def _by_kernel(kernel: ConvKernel) -> Algorithm:
    def serves(shape: Shape) -> bool:
        lanes = kernel.lanes
        return lanes is not None and kernel.serves(shape, lanes)

    def compute(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
        y: Tensor = ConvolutionFunction.apply(x, weight, kernel, shape)
        return y

    return Algorithm(kernel.name, serves, compute)


class _SeenPixels(torch.autograd.Function):
    """Every pixel of a map that a 1×1 convolution of some stride sees. No second derivative."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, untyped
        x: Tensor,
        stride: int,
    ) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H/stride), ceil(W/stride))."""
        ctx.shape, ctx.stride = x.shape, stride
        return x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        dy: Tensor,
    ) -> tuple[Tensor, None]:
        """The gradient of x from y's: zeros elsewhere."""
        dx = torch.empty(
            ctx.shape, dtype=dy.dtype, device=dy.device, memory_format=torch.channels_last
        )
        dx.zero_()[:, :, :: ctx.stride, :: ctx.stride] = dy
        return dx, None


def _of_seen_pixels(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """A strided 1×1 convolution as one of the pixels that it sees."""
    seen: Tensor = _SeenPixels.apply(x, shape.stride)
    return convolve(seen, weight, groups=shape.groups)


def _go_together(shape: Shape) -> bool:
    """Whether narrow groups fill a vector, and torch computes the wider ones as defined."""
    return 1 < _together(shape) < shape.groups and _is_sound(shape)


def _together(shape: Shape) -> int:
    """How many narrow groups fill a vector."""
    most = table.lanes() // max(shape.group_in, shape.group_out)
    return next((count for count in range(most, 1, -1) if shape.groups % count == 0), 1)


def _in_fewer_groups(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Several narrow groups as one, with zeros where they do not meet."""
    count = _together(shape)
    kernel, groups = block_diagonal(weight, shape.groups, count), shape.groups // count
    return F.conv2d(x, kernel, None, shape.stride, shape.kernel // 2, 1, groups)


def _in_fp32(x: Tensor, weight: Tensor, shape: Shape) -> Tensor:
    """Compute in float32: kernels for small maps are float32 only."""
    with torch.autocast("cpu", enabled=False):
        return convolve(x.float(), weight, shape.stride, shape.groups).to(x.dtype)


def _is_sound(shape: Shape) -> bool:
    """Whether torch's own operation is right, for activations in the shape's precision."""
    sizes = (shape.height, shape.width)
    axes = [Axis(size, shape.kernel, shape.stride, shape.kernel // 2) for size in sizes]
    in_memory = is_sound_in_torch(shape.kernel, shape.stride, shape.group_in)
    return in_memory and not (shape.half and not is_sound_in_bf16(*axes))


TORCH = Algorithm("torch", _is_sound, _by_torch)
ALGORITHMS = (
    TORCH,
    *map(_by_kernel, (direct.KERNEL, winograd.KERNEL, grouped.KERNEL, depthwise.KERNEL)),
    Algorithm("seen", lambda shape: shape.kernel == 1 and shape.stride > 1, _of_seen_pixels),
    Algorithm("together", _go_together, _in_fewer_groups),
    Algorithm("fp32", lambda shape: shape.half, _in_fp32),
)
"""Every algorithm. To add one, add a line here and run `trainers.fast.measure`."""
