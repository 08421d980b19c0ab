"""Hooks and replaced forwards: a module that has them is called as it is."""

from collections.abc import Mapping

from torch import nn
from torch.nn.modules import module as torch_module


def is_free(module: nn.Module) -> bool:
    """Whether a module has no hooks, and its forward is that of its class."""
    hooks = (
        module._forward_hooks,  # noqa: SLF001 - nothing else tells
        module._forward_pre_hooks,  # noqa: SLF001
        module._backward_hooks,  # noqa: SLF001
        module._backward_pre_hooks,  # noqa: SLF001
    )
    replaced = "forward" in vars(module)
    return not replaced and not any(hooks) and not any(_of_all_modules())


def _of_all_modules() -> tuple[Mapping[int, object], ...]:
    """The hooks that torch calls for every module."""
    return (
        torch_module._global_forward_hooks,  # noqa: SLF001
        torch_module._global_forward_pre_hooks,  # noqa: SLF001
        torch_module._global_backward_hooks,  # noqa: SLF001
        torch_module._global_backward_pre_hooks,  # noqa: SLF001
    )
