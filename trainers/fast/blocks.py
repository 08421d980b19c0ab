"""Blocks of any network in which a normalisation is followed by an addition and a ReLU.

A block's forward is followed by `torch.fx`, with its children as they are. A graph has no memory of
Python: so only a forward is followed that calls its children, and a few operations of torch, and
reads nothing that may change from one call to the next.
"""

import ast
import inspect
import operator
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.fast.norm import NormAct
from trainers.fast.sequences import is_relu
from trainers.fast.watching import is_free

_ADDITIONS = (operator.add, operator.iadd, torch.add)
_FUNCTIONS = (F.relu, torch.relu, torch.add, torch.cat, torch.flatten)
"""Functions of torch that depend on nothing but what they are given."""
_METHODS = frozenset({"add", "add_", "flatten", "mean", "relu", "relu_", "size", "view"})
"""Methods of tensors that do."""
_CONSTANTS = (bool, int, str, type(None))
_UNFOLLOWED = (ast.Global, ast.Nonlocal, ast.Yield, ast.Await, ast.With)


class Block:
    """The forward of a block with fewer operations; it is the block's own unless it is trained."""

    def __init__(self, module: nn.Module, trained: Callable[..., Any]) -> None:
        self._module = module
        self._trained = trained

    def __call__(self, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - the block's own
        """Map inputs as the block does."""
        if not self._module.training:
            return type(self._module).forward(self._module, *inputs, **named)
        return self._trained(*inputs, **named)


def with_fused_norms(module: nn.Module) -> Block | None:
    """The forward of a block whose normalisations are fused; None if there is nothing to fuse."""
    norms = [name for name, child in module.named_children() if NormAct.takes(child)]
    if not norms or not _is_plain(module):
        return None
    try:
        graph = _Tracer().trace(module)
    except Exception:  # noqa: BLE001 - the module may be the user's, and do anything
        return None
    children = dict[str, Any](module.named_children())
    fused = dict(_fuse(graph, children))
    if not fused:
        return None
    return Block(module, fx.GraphModule(children | fused, graph).forward)


class _Tracer(fx.Tracer):
    """Takes every child as one operation."""

    def is_leaf_module(self, _module: nn.Module, _name: str) -> bool:
        """Whether a module is called as it is: always."""
        return True


def _fuse(graph: fx.Graph, children: Mapping[str, nn.Module]) -> Iterator[tuple[str, NormAct]]:
    """Replace each ReLU over a normalisation, with an addition between them or without."""
    for relu in list(graph.nodes):
        if not _cuts(relu, children):
            continue
        summed = relu.args[0]
        norm, residual = _norm(summed, children), None
        if norm is None and _is_sum(summed):
            for one, other in (summed.args, summed.args[::-1]):
                norm, residual = _norm(one, children), other
                if norm is not None:
                    break
        if norm is None or (residual is not None and not isinstance(residual, fx.Node)):
            continue
        name = f"{norm.target}_relu".replace(".", "_")
        child = children[str(norm.target)]
        assert isinstance(child, nn.BatchNorm2d)  # noqa: S101 - as `_norm` saw
        x = norm.args[0]
        with graph.inserting_before(relu):
            new = graph.call_module(name, (x,) if residual is None else (x, residual))
        relu.replace_all_uses_with(new)
        for old in dict.fromkeys((relu, summed, norm)):
            if not old.users:
                graph.erase_node(old)
        yield name, NormAct(child, relu=True)


def _cuts(node: fx.Node, children: Mapping[str, nn.Module]) -> bool:
    """Whether a node is a ReLU of a node that nothing else uses."""
    if not node.args or not isinstance(node.args[0], fx.Node) or len(node.args[0].users) > 1:
        return False
    if node.op == "call_module":
        return is_relu(children[str(node.target)])
    if node.op == "call_method":
        return node.target in {"relu", "relu_"}
    return node.op == "call_function" and node.target in {F.relu, torch.relu}


def _is_sum(node: fx.Node) -> bool:
    called = node.op == "call_function" and node.target in _ADDITIONS
    method = node.op == "call_method" and node.target in {"add", "add_"}
    return (called or method) and len(node.args) == 2 and not node.kwargs  # noqa: PLR2004 - a + b


def _norm(node: object, children: Mapping[str, nn.Module]) -> fx.Node | None:
    """The node itself, if it is a normalisation that is called once, for one other node."""
    if not isinstance(node, fx.Node) or node.op != "call_module" or len(node.users) != 1:
        return None
    child = children.get(str(node.target))
    calls = node.graph.find_nodes(op="call_module", target=node.target)
    fits = child is not None and NormAct.takes(child) and is_free(child)
    return node if fits and len(calls) == 1 and len(node.args) == 1 else None


# ---- which forwards depend on nothing but their inputs ----


def _is_plain(module: nn.Module) -> bool:
    """Whether a forward calls its children and known functions alone, and reads only constants."""
    attributes = _attributes(type(module).forward)
    if attributes is None or "forward" in vars(module):
        return False
    children = {name for name, _ in module.named_children()}
    read = attributes - children - {"training"}
    found = vars(module)
    return "training" not in attributes and all(
        isinstance(found.get(name, found), _CONSTANTS) for name in read
    )


@cache
def _attributes(forward: Callable[..., Any]) -> frozenset[str] | None:
    """The attributes of ``self`` that a forward reads; None where it does what we do not follow."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(forward))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not isinstance(tree, ast.FunctionDef) or tree.decorator_list:
        return None
    self, nodes = tree.args.args[0].arg, list(ast.walk(tree))
    scope = getattr(forward, "__globals__", {})
    holders = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    if any(
        isinstance(node, _UNFOLLOWED)
        or (isinstance(node, ast.Call) and not _is_known(node.func, self, scope))
        or (_is_name(node, self) and id(node) not in holders)  # it hands itself to somebody
        for node in nodes
    ):
        return None
    own = [node for node in nodes if isinstance(node, ast.Attribute) and _is_name(node.value, self)]
    reads = all(isinstance(node.ctx, ast.Load) for node in own)
    return frozenset(node.attr for node in own) if reads else None


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_known(function: ast.expr, self: str, scope: Mapping[str, Any]) -> bool:
    """Whether a call is of a child, of a known function of torch, or of a method of a tensor."""
    if isinstance(function, ast.Attribute):
        if _is_name(function.value, self):
            return True
        found = _resolved(function, scope)
        return found in _FUNCTIONS if found is not None else function.attr in _METHODS
    return isinstance(function, ast.Name) and scope.get(function.id) in _FUNCTIONS


def _resolved(node: ast.expr, scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 - anything
    """What a dotted name means in a module; None if it does not begin with a global."""
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        holder = _resolved(node.value, scope)
        return None if holder is None else getattr(holder, node.attr, None)
    return None
