"""Modules of torch's own layers as the Python text that makes them."""

import inspect
import math
from collections.abc import Iterator

import torch
from torch import nn

from nas_space.errors import InvalidChoiceError


def spelled(module: nn.Module) -> str:
    """Text that makes a module like this one, for code with ``from torch import nn``.

    The text is run: what it makes has the same settings, and weights of the same names and shapes.

    Raises:
        InvalidChoiceError: no text does: it is neither one of torch's own layers nor a row of them,
            or it has hooks or the like.
    """
    kind = type(module)
    for arguments in _arguments(module) if is_torchs(module) else ():
        text = f"nn.{kind.__name__}({arguments})"
        if _makes(text, module):
            return text
    raise InvalidChoiceError(
        f"{kind.__name__} is none of torch's own layers, nor a row of them: its type of "
        "convolution cannot be exported: give it a `layer`, see nas_space.convs.base.Conv"
    )


def is_torchs(module: nn.Module) -> bool:
    """Whether it is one of torch's own layers, and computes nothing else."""
    kind = type(module)
    hooks = module._forward_hooks, module._forward_pre_hooks  # noqa: SLF001 - nothing else tells
    return (
        getattr(nn, kind.__name__, None) is kind
        and not any(hooks)
        and "forward" not in vars(module)
    )


def _arguments(module: nn.Module) -> Iterator[str]:
    """What its constructor may have been called with."""
    if type(module) is nn.Sequential:
        yield ", ".join(map(spelled, module))
        return
    # Torch prints most layers as their constructors are called, but not all that they take.
    yield module.extra_repr()
    given = []
    for name, parameter in inspect.signature(type(module)).parameters.items():
        value, usual = getattr(module, name, parameter.default), parameter.default
        if isinstance(usual, bool) and not isinstance(value, bool):
            value = value is not None  # weights, by the name of the setting that asks for them
        if value != usual:
            given.append(f"{name}={value!r}")
    yield ", ".join(given)


def _makes(text: str, module: nn.Module) -> bool:
    """Whether it makes such a module."""
    try:
        with torch.device("meta"):
            made = eval(text, {"nn": nn, "inf": math.inf})  # noqa: S307 - numbers that torch printed
    except Exception:  # noqa: BLE001 - printed for people, not for Python
        return False
    return _alike(made, module)


def _alike(made: nn.Module, module: nn.Module) -> bool:
    if type(made) is not type(module) or not is_torchs(module):
        return False
    settings = {key: value for key, value in vars(made).items() if not key.startswith("_")}
    settings.pop("training")
    own, other = (
        {
            name: (tensor.shape, tensor.dtype)
            for name, tensor in (
                *part.named_parameters(recurse=False),
                *part.named_buffers(recurse=False),
            )
        }
        for part in (made, module)
    )
    inside, theirs = dict(made.named_children()), dict(module.named_children())
    return (
        all(vars(module).get(key) == value for key, value in settings.items())
        and own == other
        and made.state_dict().keys() == module.state_dict().keys()
        and inside.keys() == theirs.keys()
        and all(_alike(part, theirs[name]) for name, part in inside.items())
    )
