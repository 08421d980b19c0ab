"""Convolutions that torch computes wrongly on a CPU, and how they are computed instead.

Two faults are known. `trainers.fast.algorithms` avoids both in the layers that the pass knows, and
`corrected` avoids the second in all others.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

_VECTOR_CHANNELS = 8
"""Numbers of a vector of AVX2."""

Numbers = Sequence[int]
"""A number for each axis, or one for all."""


class Axis(NamedTuple):
    """A convolution along one axis of a map.

    Attributes:
        size: of the map.
        kernel: its size.
        stride: of the kernel.
        padding: at each end of the map.
        dilation: of the kernel.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int = 1


def is_sound_in_torch(kernel: int, stride: int, group_in: int) -> bool:
    """Whether torch computes a convolution's gradients without writing outside of its memory.

    torch 2.15 does not for 1×1 convolutions of stride 2 from 2 to 6 channels in channels_last, seen
    on a CPU with AVX2 (docs/log.md, 2026-11-30). `seen` computes them instead.

    Args:
        kernel: its side.
        stride: down and across.
        group_in: input channels of a group.
    """
    return kernel > 1 or stride == 1 or group_in >= _VECTOR_CHANNELS


def is_sound_in_bf16(*axes: Axis) -> bool:
    """Whether torch computes a convolution in bfloat16, and its gradients, as defined.

    Where a column of a strided kernel meets padding alone, wherever the kernel stands, torch 2.15
    does not write that column's gradient: it is what was in memory before
    (docs/upstream/torch-bf16-strided-convolution.md). Only columns were seen to be wrong, on the
    CPUs that we have; rows are avoided too, as such maps are tiny and float32 costs nothing there.

    Args:
        axes: of the convolution.
    """
    return not any(axis.stride > 1 and _meets_padding_alone(axis) for axis in axes)


def _meets_padding_alone(axis: Axis) -> bool:
    """Whether a part of the kernel is outside of the map at all of the kernel's places."""
    size, kernel, stride, padding, dilation = axis
    places = range(-padding, size + padding - dilation * (kernel - 1), stride)
    return not all(
        any(0 <= place + step * dilation < size for place in places) for step in range(kernel)
    )


@contextmanager
def corrected() -> Iterator[None]:
    """Inside, autocast on the CPU leaves those convolutions in float32 that bfloat16 gets wrong.

    It holds for whatever calls them, as autocast does: layers, functions, scripts, and forwards
    that a backward computes again. Their outputs are bfloat16, as autocast's are.
    """
    with torch.library._scoped_library("aten", "IMPL") as library:  # noqa: SLF001 - it can end
        for name, axes in _CONVOLUTIONS.items():
            library.impl(
                name, _corrected(name, axes), "AutocastCPU", with_keyset=True, allow_override=True
            )
        yield


def _corrected(name: str, axes: Callable[..., Iterator[Axis]]) -> Callable[..., Tensor]:
    """What autocast calls for a convolution, in place of torch's own."""
    by_torch, function = _by_torch(name), getattr(torch, name.partition(".")[0])

    def computed(
        keys: torch.DispatchKeySet,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *rest: Any,  # noqa: ANN401 - torch's own
    ) -> Tensor:
        y: Tensor
        mixed = torch.get_autocast_dtype("cpu") is torch.bfloat16 and x.dtype is not torch.float64
        along = tuple(axes(x, weight, *rest)) if mixed else ()
        # The output is wrong too, here and there, where each group has one channel and the strides
        # differ: 55 of 1,328 random cases, against none of the 3,130 others.
        uneven = weight.shape[1] == 1 and len({axis.stride for axis in along}) > 1
        if is_sound_in_bf16(*along) and not uneven:
            y = by_torch.call_boxed(keys, x, weight, bias, *rest)
            return y
        with torch.autocast("cpu", enabled=False):
            known = None if bias is None else bias.float()
            y = function(x.float(), weight.float(), known, *rest)
            return y.bfloat16()

    return computed


@cache
def _by_torch(name: str) -> Any:  # noqa: ANN401 - torch does not name its type
    """Torch's own, as it is before it is replaced for the first time."""
    return torch.library.get_kernel(f"aten::{name}", "AutocastCPU")


def _axes(
    x: Tensor,
    weight: Tensor,
    stride: Numbers = (1,),
    padding: Numbers = (0,),
    dilation: Numbers = (1,),
    _groups: int = 1,
) -> Iterator[Axis]:
    """Of a convolution."""
    kernel = weight.shape[2:]
    sizes = x.shape[-len(kernel) :]
    for numbers in zip(sizes, kernel, *_each(kernel, stride, padding, dilation), strict=True):
        yield Axis(*numbers)


def _axes_of_transposed(
    x: Tensor,
    weight: Tensor,
    stride: Numbers = (1,),
    padding: Numbers = (0,),
    output_padding: Numbers = (0,),
    _groups: int = 1,
    dilation: Numbers = (1,),
) -> Iterator[Axis]:
    """Of the convolution from a transposed one's output to its input."""
    kernel = weight.shape[2:]
    places = x.shape[-len(kernel) :]
    each = _each(kernel, stride, padding, dilation, output_padding)
    for count, side, step, edge, gap, more in zip(places, kernel, *each, strict=True):
        size = (count - 1) * step - 2 * edge + gap * (side - 1) + more + 1
        yield Axis(size, side, step, edge, gap)


def _each(kernel: Numbers, *given: Numbers) -> list[Numbers]:
    """As many numbers as axes."""
    return [list(one) * len(kernel) if len(one) == 1 else one for one in given]


_CONVOLUTIONS: dict[str, Callable[..., Iterator[Axis]]] = {
    "conv1d": _axes,
    "conv2d": _axes,
    "conv_transpose1d": _axes_of_transposed,
    "conv_transpose2d.input": _axes_of_transposed,
}
