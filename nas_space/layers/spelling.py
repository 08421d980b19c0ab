"""Modules of torch's own layers as the Python text that makes them."""

from torch import nn

from nas_space.errors import InvalidChoiceError

_TORCHS_OWN = "torch.nn.modules."


def spelled(module: nn.Module) -> str:
    """Text that makes a module like this one, for code with ``from torch import nn``.

    Raises:
        InvalidChoiceError: it is neither one of torch's own layers nor a row of them.
    """
    kind = type(module)
    children = list(module.children())
    if not kind.__module__.startswith(_TORCHS_OWN) or (children and kind is not nn.Sequential):
        raise InvalidChoiceError(
            f"{kind.__name__} is none of torch's own layers, nor a row of them: its type of "
            "convolution cannot be exported: give it a `layer`, see nas_space.convs.base.Conv"
        )
    # torch prints its layers as their constructors are called.
    inside = ", ".join(map(spelled, children)) if children else module.extra_repr()
    return f"nn.{kind.__name__}({inside})"
