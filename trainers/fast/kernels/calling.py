"""How C kernels are found, and called on tensors."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

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
    """
    given = (part.data_ptr() if isinstance(part, Tensor) else part for part in arguments)
    if kernel(*given) != 0:
        raise MemoryError("a CPU kernel found no memory for its sums: use a smaller batch")


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
    if not x.is_cpu:
        raise ValueError(f"the kernels compute on the CPU, and a tensor is on {x.device}")
    return x.contiguous(memory_format=torch.channels_last)
