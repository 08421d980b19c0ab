"""The text of a class or function, with what it needs of its own file: what an export carries."""

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from nas_space.errors import InvalidChoiceError

IMPORTED = frozenset(
    {
        "import torch",
        "from torch import Tensor",
        "from torch import nn",
        "from torch.nn import functional as F",
    }
)
"""What the file that carries the text imports anyway."""


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
    text = _file_of(shipped)
    statements = ast.parse(text).body
    own = {name: part for part in statements for name in _defined(part)}
    if shipped.__name__ not in own:
        raise _unreadable(shipped)
    imported = {
        _bound(part, alias): part
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
    texts = {name: _text(lines, part, statements) for name, part in own.items() if name in needed}
    # A statement that defines several names is there once.
    parts = {name: text for text, name in {text: name for name, text in texts.items()}.items()}
    foreign = sorted(needed & imported.keys() - own.keys())
    made = (_import(shipped, name, imported[name]) for name in foreign)
    return Definitions(tuple(line for line in made if line not in IMPORTED), parts)


def _file_of(shipped: Shipped) -> str:
    try:
        return inspect.getsource(sys.modules[shipped.__module__])
    except (OSError, KeyError, TypeError):  # a notebook's classes have no file
        raise _unreadable(shipped) from None


def _unreadable(shipped: Shipped) -> InvalidChoiceError:
    return InvalidChoiceError(
        f"{shipped.__name__} cannot be exported: its Python file is not there to be read, or does "
        "not define it at its top"
    )


def _defined(part: ast.stmt) -> Iterator[str]:
    if isinstance(part, ast.ClassDef | ast.FunctionDef):
        yield part.name
    elif isinstance(part, ast.Assign):
        targets = (node for target in part.targets for node in ast.walk(target))
        yield from (node.id for node in targets if isinstance(node, ast.Name))
    elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
        yield part.target.id
    elif isinstance(part, ast.If | ast.Try):
        yield from (name for inner in _inside(part) for name in _defined(inner))


def _inside(part: ast.If | ast.Try) -> Iterator[ast.stmt]:
    yield from (*part.body, *part.orelse)
    if isinstance(part, ast.Try):
        yield from (line for handler in part.handlers for line in handler.body)


def _used(part: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}


def _text(lines: list[str], part: ast.stmt, statements: list[ast.stmt]) -> str:
    """The lines of a statement, with its decorators and the docstring after a constant."""
    decorators = getattr(part, "decorator_list", [])
    start = min([part.lineno, *(decorator.lineno for decorator in decorators)])
    end = part.end_lineno or part.lineno
    after = statements[statements.index(part) + 1 :][:1]
    for said in after:
        prose = isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant)
        if prose and not decorators and not hasattr(part, "body"):
            end = said.end_lineno or end
    return "\n".join(lines[start - 1 : end])


def _bound(part: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The name that an import gives to a file."""
    whole = isinstance(part, ast.Import) and alias.asname is None
    return alias.name.partition(".")[0] if whole else alias.asname or alias.name


def _import(shipped: Shipped, name: str, part: ast.Import | ast.ImportFrom) -> str:
    """The line that imports one name."""
    alias = next(alias for alias in part.names if name == _bound(part, alias))
    source = part.module if isinstance(part, ast.ImportFrom) else alias.name
    root = (source or "").partition(".")[0]
    relative = isinstance(part, ast.ImportFrom) and part.level > 0
    if relative or (root != "torch" and root not in sys.stdlib_module_names):
        raise InvalidChoiceError(
            f"{shipped.__name__} cannot be exported: its file uses {name} of {source or '.'}, and "
            "an export has torch and the standard library alone"
        )
    renamed = f" as {alias.asname}" if alias.asname else ""
    if isinstance(part, ast.Import):
        return f"import {alias.name}{renamed}"
    return f"from {source} import {alias.name}{renamed}"
