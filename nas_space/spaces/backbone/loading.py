"""Networks that a user has: torchvision's classification models, and functions of the user's own.

A name is one of torchvision's, like ``resnet18``, or ``module:function``, which is called without
arguments and returns a `torch.nn.Module`. What `torch.compile` made of a module is not taken, and
float64 and half become float32.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

from nas_space.conversion.survey import uncompiled
from nas_space.errors import error_line
from nas_space.plugins import own
from nas_space.registry import Entry, Registry
from nas_space.spaces.architecture import InvalidArchitectureError


class UnknownBackboneError(InvalidArchitectureError):
    """A name that belongs to no model, or a function that gives none."""


def _torchvisions() -> Iterator[Entry[Callable[..., nn.Module]]]:
    from torchvision import models  # noqa: PLC0415 - seconds

    for name in models.list_models(module=models):
        yield Entry(name, models.__name__, partial(models.get_model_builder, name))


BACKBONES: Registry[Callable[..., nn.Module]] = Registry(
    "backbone",
    UnknownBackboneError,
    refusal="unknown backbone {name}; {near}give a classification model of torchvision, like "
    "resnet18, or a function of your own, as module:function",
    found=_torchvisions,
)
"""What makes torchvision's classification models, by their names."""


def load(
    name: str, classes: int | None = None, *, pretrained: bool = False, seed: int = 0
) -> nn.Module:
    """The module of that name, with fresh weights or with those that the user's function gives it.

    The global random state stays as it was.

    Args:
        name: see above.
        classes: of torchvision's models, theirs by default; a function knows its own.
        pretrained: whether torchvision's models get the weights that it recommends for them,
            downloaded once; a classifier for other classes stays fresh.
        seed: of fresh weights.

    Raises:
        UnknownBackboneError: there is no such model or function, it fails, or there are no weights.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        if ":" in name:
            return _users(name)
        model = _fresh(name, classes)
    if pretrained:
        _take_weights(model, name)
    return model


def _fresh(name: str, classes: int | None) -> nn.Module:
    make = BACKBONES.get(name)
    options = {} if classes is None else {"num_classes": classes}
    with warnings.catch_warnings():
        # Two models say that their drawing of weights takes long.
        warnings.simplefilter("ignore", FutureWarning)
        return make(weights=None, **options)


def _take_weights(model: nn.Module, name: str) -> None:
    from torchvision import models  # noqa: PLC0415 - seconds

    weights = models.get_model_weights(name).DEFAULT
    try:
        theirs = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UnknownBackboneError(
            f"backbone {name}: its weights cannot be had from {weights.url} ({error_line(error)}); "
            f"where there is no network, put that file into {folder}"
        ) from None
    ours = model.state_dict()
    fitting = {n: t for n, t in theirs.items() if n in ours and t.shape == ours[n].shape}
    model.load_state_dict(fitting, strict=False)


def _users(name: str) -> nn.Module:
    found = own(name, f"backbone {name}", UnknownBackboneError)
    if not callable(found):
        module, _, function = name.partition(":")
        raise UnknownBackboneError(f"backbone {name}: {function} is no function in {module}")
    try:
        model = found()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the function is the user's
        raise UnknownBackboneError(
            f"backbone {name}: the function failed ({error_line(error)})"
        ) from None
    if not isinstance(model, nn.Module):
        raise UnknownBackboneError(
            f"backbone {name}: the function gives a {type(model).__name__}, not a torch.nn.Module"
        )
    # Searches train and ship float32.
    return uncompiled(model).float()
