"""Whether a module may compute its function another way than by the operations that define it."""

import torch
from torch import Tensor, nn


def eager(x: Tensor) -> bool:
    """Whether a CPU computes on plain tensors while nobody looks on.

    Who looks on has to see torch's own operations: a compiler, a tracer, a function transform, a
    mode such as torch's counter of operations or one of `torch.overrides`.
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, nn.Parameter)
        and x.is_cpu
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not torch._C._are_functorch_transforms_active()  # noqa: SLF001 - has no public name
        and not torch._C._len_torch_dispatch_stack()  # noqa: SLF001 - has no public name
        and not torch._C._len_torch_function_stack()  # noqa: SLF001 - has no public name
    )
