"""The convolution types, one file each, and the registry that finds them.

Adding a type is adding a file here: the registry imports every module of this package and
collects the concrete subclasses of `Conv`. Nothing else in the project names a type.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

from nas_space.convs.base import Conv, split_label
from nas_space.errors import InvalidChoiceError
from nas_space.registry import Entry, Registry, given

__all__ = ["TYPES", "Conv", "InvalidChoiceError", "parse"]


def _types() -> Iterator[Entry[type[Conv]]]:
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.name != "base"
    ]
    members = dict.fromkeys(
        member for module in modules for _, member in inspect.getmembers(module, inspect.isclass)
    )
    for member in members:
        if not issubclass(member, Conv) or member is Conv:
            continue
        if inspect.isabstract(member):
            missing = ", ".join(sorted(member.__abstractmethods__))
            raise InvalidChoiceError(
                f"the convolution type {member.__name__} of {member.__module__} lacks {missing}: "
                "define what is missing, see nas_space.convs.base.Conv"
            )
        yield given(member.kind, member, member.__module__)


TYPES: Registry[type[Conv]] = Registry(
    "convolution type",
    InvalidChoiceError,
    refusal="unknown convolution type {name}; known types: {names}",
    alphabetical=True,
    found=_types,
)
"""The convolution types by their kinds."""


def parse(label: str) -> Conv:
    """Read a choice from its one spelling, e.g. ``igc(L=4,M=16)``.

    Raises:
        InvalidChoiceError: the kind is unknown, or a setting is missing, unknown or impossible.
    """
    name, settings = split_label(label)
    return TYPES.get(name).from_settings(settings)
