"""Whether a module's forward may be followed once and its graph used from then on.

A graph has no memory of Python. So a forward is followed only if it calls its children and a few
operations of torch, and reads nothing else but constants of its own module: no `self.training`, no
random numbers, no globals, no attributes of children.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

_FUNCTIONS = (F.relu, torch.relu, torch.add, torch.cat, torch.flatten)
"""Functions of torch that depend on nothing but what they are given."""
_METHODS = frozenset({"add", "add_", "flatten", "mean", "relu", "relu_", "size", "view"})
"""Methods of tensors that depend on nothing but their inputs."""
_CONSTANTS = (bool, int, str, type(None))
_UNFOLLOWED = (
    ast.Global,
    ast.Nonlocal,
    ast.Yield,
    ast.YieldFrom,
    ast.Await,
    ast.With,
    ast.Try,
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.Lambda,
)


def constants_read(module: nn.Module) -> Mapping[str, object] | None:
    """The constants of a module that its forward reads; None if it must not be followed.

    The graph is valid while these constants keep their values.
    """
    if "forward" in vars(module):
        return None
    read = _attributes_read(type(module).forward)
    if read is None or "training" in read:
        return None
    known = vars(module)
    found = {name: known.get(name, known) for name in read - dict(module.named_children()).keys()}
    return found if all(isinstance(value, _CONSTANTS) for value in found.values()) else None


@dataclass(frozen=True, slots=True)
class _Forward:
    """A forward's syntax.

    Attributes:
        self: the name of its first argument.
        nodes: of its body, without annotations.
        scope: the globals of its module.
    """

    self: str
    nodes: tuple[ast.AST, ...]
    scope: Mapping[str, Any]

    @property
    def own(self) -> list[ast.Attribute]:
        """The attributes of ``self``."""
        found = (node for node in self.nodes if isinstance(node, ast.Attribute))
        return [node for node in found if self.is_self(node.value)]

    def is_self(self, node: ast.AST) -> bool:
        """Whether a node is the module itself."""
        return isinstance(node, ast.Name) and node.id == self.self

    def is_plain(self) -> bool:
        """Whether it uses only what we follow."""
        calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        return (
            not any(isinstance(node, _UNFOLLOWED) for node in self.nodes)
            and all(self._is_known(call.func) for call in calls)
            and self._keeps_to_itself(calls)
            and self._compares_itself_alone()
            and all(isinstance(node.ctx, ast.Load) for node in self.own)
        )

    def _is_known(self, function: ast.expr) -> bool:
        """Whether a call is of a child, of a function of torch, or of a method of a tensor."""
        if isinstance(function, ast.Attribute):
            if self.is_self(function.value):
                return True
            found = self._resolved(function)
            return function.attr in _METHODS if found is None else found in _FUNCTIONS
        return isinstance(function, ast.Name) and self.scope.get(function.id) in _FUNCTIONS

    def _resolved(self, node: ast.expr) -> Any:  # noqa: ANN401 - anything
        """What a dotted name means in the module; None if it does not begin with a global."""
        if isinstance(node, ast.Name):
            return self.scope.get(node.id)
        if isinstance(node, ast.Attribute):
            holder = self._resolved(node.value)
            return None if holder is None else getattr(holder, node.attr, None)
        return None

    def _keeps_to_itself(self, calls: list[ast.Call]) -> bool:
        """Whether it passes itself to no function, reads no globals, no attributes of children."""
        own = {id(node) for node in self.own}
        held = [node for node in self.nodes if isinstance(node, ast.Attribute)]
        holders = {id(node.value) for node in held}
        called = {id(part) for call in calls for part in ast.walk(call.func)}
        names = [node for node in self.nodes if isinstance(node, ast.Name)]
        return (
            all(id(name) in holders for name in names if self.is_self(name))
            and all(id(name) in called for name in names if name.id in self.scope)
            and not any(id(node.value) in own for node in held)
        )

    def _compares_itself_alone(self) -> bool:
        """Whether ``is`` compares its own attributes alone: a traced value is never None."""
        own = set(map(id, self.own))
        same = (ast.Is, ast.IsNot)
        compared = (node for node in self.nodes if isinstance(node, ast.Compare))
        asks = (node for node in compared if any(isinstance(op, same) for op in node.ops))
        sums = (node.op for node in self.nodes if isinstance(node, ast.AugAssign))
        return all(id(node.left) in own for node in asks) and all(
            isinstance(operator, ast.Add) for operator in sums
        )


@cache
def _attributes_read(forward: Callable[..., Any]) -> frozenset[str] | None:
    """The attributes of ``self`` that a forward reads; None where it does what we do not follow."""
    parsed = _parsed(forward)
    if parsed is None or not parsed.is_plain():
        return None
    return frozenset(node.attr for node in parsed.own)


def _parsed(forward: Callable[..., Any]) -> _Forward | None:
    """The syntax of a forward; None if its text is not all that it does."""
    if inspect.unwrap(forward) is not forward or getattr(forward, "__closure__", None):
        return None
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(forward))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not isinstance(tree, ast.FunctionDef) or tree.decorator_list:
        return None
    arguments = [*tree.args.posonlyargs, *tree.args.args]
    if not arguments:
        return None
    nodes = tuple(part for line in tree.body for part in _walk(line))
    return _Forward(arguments[0].arg, nodes, getattr(forward, "__globals__", {}))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All of a statement but its annotations."""
    yield node
    for name, value in ast.iter_fields(node):
        if name != "annotation":
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    yield from _walk(part)
