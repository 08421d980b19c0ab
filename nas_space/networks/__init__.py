"""The networks of the papers, one family a file, and the registry that finds them.

Adding a family is adding a file here: `families` imports every module of this package and
collects the concrete subclasses of `Network`. `python -m nas_space.networks` lists them.
"""

import difflib
import importlib
import inspect
import pkgutil
import re
from functools import cache

from nas_space.networks.base import Figure, Network, UnknownNetworkError
from nas_space.networks.counts import Counts

__all__ = ["Counts", "Figure", "Network", "UnknownNetworkError", "families", "get", "networks"]


@cache
def families() -> tuple[type[Network], ...]:
    """Every family of named networks, in the order of their files and names."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if not found.name.startswith("_")
    ]
    return tuple(
        dict.fromkeys(
            member
            for module in modules
            for _, member in inspect.getmembers(module, inspect.isclass)
            if issubclass(member, Network)
            and not inspect.isabstract(member)
            and member.__module__ == module.__name__
        )
    )


@cache
def networks() -> dict[str, Network]:
    """Every listed network by name."""
    return {network.name: network for family in families() for network in family.catalogue()}


def get(name: str) -> Network:
    """The network of that name, listed or not: names with other numbers are read as well.

    Raises:
        UnknownNetworkError: there is none.
    """
    for family in families():
        match = re.fullmatch(family.pattern, name.lower())
        if match is not None:
            return family.from_parts(match.groupdict())
    near = difflib.get_close_matches(name.lower(), networks(), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise UnknownNetworkError(
        f"unknown network {name[:80]!r}; {hint}`python -m nas_space.networks` lists them"
    )
