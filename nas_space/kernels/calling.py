"""How C kernels are called on tensors."""

from collections.abc import Callable

from torch import Tensor


def call(kernel: Callable[..., int], *arguments: object) -> None:
    """Call a kernel; of a tensor it gets the address.

    Raises:
        MemoryError: it found no memory for what it keeps beside.
    """
    given = (part.data_ptr() if isinstance(part, Tensor) else part for part in arguments)
    if kernel(*given) != 0:
        raise MemoryError("no memory for a kernel's sums")
