"""Blocks of any network in which a normalisation is followed by an addition and a ReLU.

A block's forward is followed by `torch.fx`, with its children as they are, where that is safe
(`trainers.fast.following`).
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from trainers.fast.following import constants_read
from trainers.fast.norm import NormAct
from trainers.fast.sequences import is_relu
from trainers.fast.watching import is_free

_ADDITIONS = (operator.add, operator.iadd, torch.add)


class Block:
    """The forward of a block with fewer operations.

    Args:
        module: the block, which calls its own forward unless it is trained.
        trained: what it does in training.
        read: the constants that its forward reads; if one changes, the block's own forward runs.
    """

    def __init__(
        self, module: nn.Module, trained: Callable[..., Any], read: Mapping[str, object]
    ) -> None:
        self._module = module
        self._trained = trained
        self._read = read

    def __call__(self, *inputs: Any, **named: Any) -> Any:  # noqa: ANN401 - the block's own
        """Map inputs as the block does."""
        known = vars(self._module)
        if not self._module.training or any(
            known.get(name, self) != value for name, value in self._read.items()
        ):
            return type(self._module).forward(self._module, *inputs, **named)
        return self._trained(*inputs, **named)


def with_fused_norms(module: nn.Module) -> Block | None:
    """The forward of a block whose normalisations are fused; None if there is nothing to fuse."""
    read = constants_read(module)
    if read is None or not any(NormAct.takes(child) for child in module.children()):
        return None
    try:
        graph = _Tracer().trace(module)
        children = dict[str, Any](module.named_children())
        fused = dict(_fuse(graph, children))
        if not fused:
            return None
        return Block(module, fx.GraphModule(children | fused, graph).forward, read)
    except Exception:  # noqa: BLE001 - the module may be the user's, and do anything
        return None


class _Proxy(fx.Proxy):
    """Records ``+=`` as an addition in place; `torch.fx` would record a new sum."""

    def __iadd__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):
    """Takes every child as one operation."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

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
            orders = (summed.args, summed.args[::-1])
            # In place it writes into the first, which others may read.
            for one, other in orders[: 1 if summed.target in {operator.iadd, "add_"} else 2]:
                norm, residual = _norm(one, children), other
                if norm is not None:
                    break
        if norm is None or (residual is not None and not isinstance(residual, fx.Node)):
            continue
        name = f"{norm.target}_relu".replace(".", "_")
        while name in children:
            name += "_"
        child = children[str(norm.target)]
        assert isinstance(child, nn.BatchNorm2d)  # noqa: S101 - as `_norm` saw
        x = norm.args[0]
        # Where the sum was: what it adds may be written over before the ReLU.
        with graph.inserting_before(summed):
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
    if not fits or len(calls) > 1 or len(node.args) != 1:
        return None
    # What others use as well they may write over before the sum.
    x = node.args[0]
    return node if isinstance(x, fx.Node) and len(x.users) == 1 else None
