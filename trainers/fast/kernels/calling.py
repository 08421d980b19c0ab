"""How C kernels are called on tensors."""

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor


def call(kernel: Callable[..., int], *arguments: object) -> None:
    """Call a kernel; of a tensor it gets the address.

    Raises:
        MemoryError: it found no memory for what it keeps beside.
    """
    given = (part.data_ptr() if isinstance(part, Tensor) else part for part in arguments)
    if kernel(*given) != 0:
        raise MemoryError("a CPU kernel found no memory for its sums: use a smaller batch")


def longs(*numbers: int) -> "ctypes.Array[ctypes.c_long]":
    """The struct ``shape`` of a C file, all of whose fields are longs."""
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
