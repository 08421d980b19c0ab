"""The text of a class or function, with what it needs of its own file: what an export carries."""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from nas_space.errors import InvalidChoiceError

IMPORTED = frozenset({"torch", "Tensor", "nn", "F"})
"""What the file that carries the text imports: torch and the usual names of its parts."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """Python text that defines a class or function.

    Attributes:
        imports: lines that it needs, of the standard library or torch, beside `IMPORTED`.
        parts: the text of each class, function and constant by its name, in their order.
    """

    imports: tuple[str, ...]
    parts: dict[str, str]


class _Function(Protocol):
    @property
    def __name__(self) -> str: ...


Shipped = type[nn.Module] | _Function
"""A class or function whose text an export carries."""


def definitions(shipped: Shipped) -> Definitions:
    """The text of a class or function and of all that it uses from the same file.

    Raises:
        InvalidChoiceError: the file cannot be read, or it uses what neither torch nor the standard
            library has.
    """
    try:
        text = inspect.getsource(sys.modules[shipped.__module__])
    except (OSError, KeyError):
        raise InvalidChoiceError(
            f"{shipped.__name__} cannot be exported: its Python file is not there to be read"
        ) from None
    statements = ast.parse(text).body
    own = {name: part for part in statements for name in _defined(part)}
    imported = {
        alias.asname or alias.name: part
        for part in statements
        if isinstance(part, ast.Import | ast.ImportFrom)
        for alias in part.names
    }
    needed, queue = set[str](), [shipped.__name__]
    while queue:
        name = queue.pop()
        if name not in needed:
            needed.add(name)
            queue += _used(own[name]) & (own.keys() | imported.keys()) if name in own else ()
    lines = text.splitlines()
    parts = {name: _text(lines, part, statements) for name, part in own.items() if name in needed}
    foreign = sorted(needed & imported.keys() - own.keys() - IMPORTED)
    return Definitions(tuple(_import(shipped, name, imported[name]) for name in foreign), parts)


def _defined(part: ast.stmt) -> Iterator[str]:
    if isinstance(part, ast.ClassDef | ast.FunctionDef):
        yield part.name
    elif isinstance(part, ast.Assign):
        yield from (target.id for target in part.targets if isinstance(target, ast.Name))
    elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
        yield part.target.id


def _used(part: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}


def _text(lines: list[str], part: ast.stmt, statements: list[ast.stmt]) -> str:
    """The lines of a statement, decorators and a docstring behind a constant included."""
    decorators = getattr(part, "decorator_list", [])
    start = min([part.lineno, *(decorator.lineno for decorator in decorators)])
    end = part.end_lineno or part.lineno
    after = statements[statements.index(part) + 1 :][:1]
    for said in after:
        if isinstance(said, ast.Expr) and not decorators and not hasattr(part, "body"):
            end = said.end_lineno or end
    return "\n".join(lines[start - 1 : end])


def _import(shipped: Shipped, name: str, part: ast.Import | ast.ImportFrom) -> str:
    """The line that imports one name."""
    (alias,) = (alias for alias in part.names if name == (alias.asname or alias.name))
    source = part.module if isinstance(part, ast.ImportFrom) else alias.name
    root = (source or "").partition(".")[0]
    if root != "torch" and root not in sys.stdlib_module_names:
        raise InvalidChoiceError(
            f"{shipped.__name__} cannot be exported: its file uses {name} of {source or '.'}, and "
            "an export has torch and the standard library alone"
        )
    renamed = f" as {alias.asname}" if alias.asname else ""
    if isinstance(part, ast.Import):
        return f"import {alias.name}{renamed}"
    return f"from {source} import {alias.name}{renamed}"
