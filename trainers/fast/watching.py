"""Who watches a module: a module that somebody watches is called as it is."""

from torch import nn


def is_free(module: nn.Module) -> bool:
    """Whether a module has no hooks, which see what goes in and comes out of it."""
    hooks = (
        module._forward_hooks,  # noqa: SLF001 - nothing else tells
        module._forward_pre_hooks,  # noqa: SLF001
        module._backward_hooks,  # noqa: SLF001
        module._backward_pre_hooks,  # noqa: SLF001
    )
    return not any(hooks)
