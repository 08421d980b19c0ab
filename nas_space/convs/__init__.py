"""The convolution types, one file each, and the registry that finds them.

Adding a type is adding a file here: `kinds` imports every module of this package and
collects the concrete subclasses of `Conv`. Nothing else in the project names a type.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache

from nas_space.convs.base import Conv, InvalidChoiceError, split_label

__all__ = ["Conv", "InvalidChoiceError", "kinds", "named", "parse"]


@cache
def kinds() -> Mapping[str, type[Conv]]:
    """Every convolution type by its kind, in alphabetical order."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.name != "base"
    ]
    types = {
        member.kind: member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Conv) and not inspect.isabstract(member)
    }
    return dict(sorted(types.items()))


def parse(label: str) -> Conv:
    """Read a choice from its one spelling, e.g. ``igc(L=4,M=16)``.

    Raises:
        InvalidChoiceError: the kind is unknown, or a setting is missing, unknown or impossible.
    """
    name, settings = split_label(label)
    return named(name).from_settings(settings)


def named(kind: str) -> type[Conv]:
    """The convolution type of that name.

    Raises:
        InvalidChoiceError: there is none.
    """
    known = kinds()
    if kind not in known:
        raise InvalidChoiceError(
            f"unknown convolution type {kind!r}; known types: {', '.join(known)}"
        )
    return known[kind]
