"""How C kernels are called on tensors."""

from collections.abc import Callable

import torch
from torch import Tensor

from nas_space.convs.base import Size


def call(kernel: Callable[..., int], *arguments: object) -> None:
    """Call a kernel; of a tensor it gets the address.

    Raises:
        MemoryError: it found no memory for what it keeps beside.
    """
    given = (part.data_ptr() if isinstance(part, Tensor) else part for part in arguments)
    if kernel(*given) != 0:
        raise MemoryError("no memory for a kernel's sums")


def rows(x: Tensor, channels: int, size: Size) -> Tensor:
    """Room for maps of the type and number of x, as rows of channels."""
    shape = (x.shape[0], channels, *size)
    return torch.empty(shape, dtype=x.dtype, device="cpu", memory_format=torch.channels_last)
