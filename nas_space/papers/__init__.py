"""The networks of the papers, one family a file, and the registry that finds them.

Adding a family is adding a file here: the registry imports every module of this package and of its
folders, and collects the concrete subclasses of `PaperNetwork`. `python -m nas_space.networks`
lists them.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

from nas_space.papers.base import Figure, PaperNetwork, UnknownNetworkError
from nas_space.papers.counts import Counts
from nas_space.programs import program
from nas_space.registry import Entry, Registry, given

__all__ = [
    "FAMILIES",
    "NETWORKS",
    "Counts",
    "Figure",
    "PaperNetwork",
    "UnknownNetworkError",
    "families",
    "get",
    "networks",
]


def _families() -> Iterator[Entry[type[PaperNetwork]]]:
    files = [file.name for file in pkgutil.walk_packages(__path__, f"{__name__}.")]
    for path in sorted(files, key=lambda path: path.rpartition(".")[2]):
        file = path.rpartition(".")[2]
        if file.startswith("_") or file == "listing":
            continue
        module = importlib.import_module(path)
        for name, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ != module.__name__ or inspect.isabstract(member):
                continue
            if issubclass(member, PaperNetwork):
                yield given(f"{file}.{name}", member, module.__name__)


def _listed() -> Iterator[Entry[PaperNetwork]]:
    for family in families():
        for network in family.catalogue():
            yield given(network.name, network, family.__module__)


FAMILIES: Registry[type[PaperNetwork]] = Registry(
    "family of networks",
    UnknownNetworkError,
    refusal="unknown family of networks {name}; known families: {names}",
    found=_families,
)
"""The families as file.Class, in the order of their files and names."""

NETWORKS: Registry[PaperNetwork] = Registry(
    "network",
    UnknownNetworkError,
    refusal=f"unknown network {{name}}; {{near}}`{program('nas_space.networks')}` lists them",
    alike=0.5,  # the names are long, and people type a part: resnet-50
    found=_listed,
)
"""The listed networks by name."""


def families() -> tuple[type[PaperNetwork], ...]:
    """Every family of named networks, in the order of their files and names."""
    return tuple(FAMILIES.all().values())


def networks() -> dict[str, PaperNetwork]:
    """Every listed network by name."""
    return NETWORKS.all()


def get(name: str) -> PaperNetwork:
    """The network of that name, listed or not: names with other numbers are read as well.

    Raises:
        UnknownNetworkError: there is none.
    """
    for family in families():
        match = re.fullmatch(family.pattern, name.lower())
        if match is not None:
            return family.from_parts(match.groupdict())
    return NETWORKS.get(name)
