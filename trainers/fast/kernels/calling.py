"""How C kernels are found, and called on tensors."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from trainers.fast.kernels import library

POINTER = ctypes.c_void_p
"""The type of an argument that is a tensor, a struct, or None."""
Struct = ctypes.Array[ctypes.c_long]
"""The struct ``shape`` of a C file, all of whose fields are longs."""


@dataclass(frozen=True, slots=True, eq=False)
class Functions:
    """The functions of ``NAME.c``, which says what they take; they are compiled when asked for.

    Attributes:
        name: of the C file.
        arguments: their types, by the function's name without the ``NAME_`` before it in C.
    """

    name: str
    arguments: Mapping[str, Sequence[type]]

    def exist(self) -> bool:
        """Whether they can be had."""
        return bool(found(self))

    def __getitem__(self, function: str) -> Callable[..., int]:
        """One of them; callers ask first whether they exist."""
        return found(self)[function]


@cache
def found(functions: Functions) -> Mapping[str, Callable[..., int]]:
    """The compiled functions by their names; none where they cannot be had."""
    compiled = library(functions.name)
    if compiled is None:
        return {}
    try:
        return {
            name: ctypes.CFUNCTYPE(ctypes.c_int, *types)((f"{functions.name}_{name}", compiled))
            for name, types in functions.arguments.items()
        }
    except AttributeError:  # another library of that name
        return {}


def call(kernel: Callable[..., int], *arguments: object) -> None:
    """Call a kernel; of a tensor it gets the address.

    Raises:
        MemoryError: it found no memory for what it keeps beside.
        ValueError: a tensor is not on the CPU, or has gaps in memory.
    """
    given = [_address(part) if isinstance(part, Tensor) else part for part in arguments]
    if kernel(*given) != 0:
        raise MemoryError("a CPU kernel found no memory for its sums: use a smaller batch")


def keep(ctx: Any, *tensors: Tensor | None) -> None:  # noqa: ANN401 - torch's own, untyped
    """Save tensors for the backward, which asks for them by `kept`."""
    ctx.save_for_backward(*tensors)
    ctx.kept = [None if one is None else (one.shape, one.dtype) for one in tensors]


def kept(ctx: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """What `keep` saved. It may lie otherwise in memory: a hook of the user's may have copied it.

    Raises:
        ValueError: a hook gave back something of another shape or type, or of another device.
    """
    found: tuple[Any, ...] = ctx.saved_tensors
    for one, known in zip(found, ctx.kept, strict=True):
        if one is not None and ((one.shape, one.dtype) != known or not one.is_cpu):
            shape, dtype = known
            raise ValueError(
                f"a hook on saved tensors gave back {one.dtype} of {tuple(one.shape)} on "
                f"{one.device} for {dtype} of {tuple(shape)} on cpu: "
                "it has to give back what it got"
            )
    return found


def _address(x: Tensor) -> int:
    _check_device(x)
    # The kernels read either order of axes, but no gaps.
    if not (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)):
        raise ValueError(f"the kernels read no tensor of strides {x.stride()}: copy it first")
    return x.data_ptr()


def _check_device(x: Tensor) -> None:
    if not x.is_cpu:
        raise ValueError(f"the kernels compute on the CPU, and a tensor is on {x.device}")


def longs(*numbers: int) -> Struct:
    """The struct of these numbers."""
    return (ctypes.c_long * len(numbers))(*numbers)


def rows(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Room for maps of the type and number of x, as rows of channels."""
    shape = (x.shape[0], channels, height, width)
    return torch.empty(shape, dtype=x.dtype, device="cpu", memory_format=torch.channels_last)


def as_rows(x: Tensor) -> Tensor:
    """The same maps (N, C, H, W), in memory as (N, H, W, C).

    Raises:
        ValueError: they are not on the CPU, whose memory the kernels read.
    """
    _check_device(x)
    return x.contiguous(memory_format=torch.channels_last)
