"""The shape of the packages: no import cycles, and folders that can be read at a glance."""

import ast
import itertools
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_space", "trainers", "studies", "searchers")
MOST_MODULES = 15


def modules() -> dict[str, Path]:
    """The files of all packages, by the module's name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """The names that a module imports, at any depth: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = node.level - is_package
                start = ".".join(parts[: len(parts) - above])
                base = f"{start}.{base}" if base else start
            for alias in node.names:
                yield f"{base}.{alias.name}"


def target(name: str, known: Mapping[str, object]) -> str | None:
    """The module that a name is, or is in; None if it is none of ours."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def parents(name: str) -> list[str]:
    """The packages that a module is in."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def imports() -> dict[str, set[str]]:
    """Which module imports which."""
    known = modules()
    graph = {}
    for module, path in known.items():
        names = imported(path.read_text(), module, is_package=path.name == "__init__.py")
        found = {target(name, known) for name in names}
        named = {name for name in found if name is not None}
        # Who imports a module runs its packages first.
        packages = {above for name in named for above in parents(name) if above in known}
        mine = {module, *parents(module)}
        graph[module] = (named - {module}) | (packages - mine)
    return graph


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of a cycle, in the order of their imports; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # The library names each module before one that imports it.
        return list(reversed(error.args[1]))
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    graph = {
        module: {name for name in names if name.split(".")[0] == package}
        for module, names in imports().items()
        if module.split(".")[0] == package
    }
    assert len(graph) > 10
    assert any(graph.values())
    found = cycle(graph)
    assert not found, " imports ".join(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_has_many_modules_at_its_top(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    tops = {
        folder: [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        for folder in folders
    }
    counts = {str(folder.relative_to(ROOT)): len(names) for folder, names in tops.items()}
    assert len(counts) > 3
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_a_cycle_is_named_in_the_order_of_its_imports() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    found = cycle(graph)
    assert found[0] == found[-1]
    assert all(after in graph[before] for before, after in itertools.pairwise(found))
    assert cycle({"a": {"b"}, "b": set()}) == []


def test_imports_count_wherever_they_stand() -> None:
    source = (
        "import a\n"
        "if TYPE_CHECKING:\n    from b import c\n"
        "def f():\n    import d.e\n    from . import g\n    from .h import i\n"
    )
    found = set(imported(source, "pack.sub.module", is_package=False))
    assert found == {"a", "b.c", "d.e", "pack.sub.g", "pack.sub.h.i"}
    assert set(imported("from . import x", "pack.sub", is_package=True)) == {"pack.sub.x"}
