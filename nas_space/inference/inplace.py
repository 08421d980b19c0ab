"""Additions and ReLUs in place, where no other node reads their input.

Their time is spent on memory, and new memory costs a page fault for each of its pages.
"""

import operator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.inference.tracing import alone, called, layer
from nas_space.layers.octave import OctConv2d, upsample

_FRESH = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
"""Layers whose output is new memory, so that a ReLU after them may overwrite it."""


def write_over(graph_module: fx.GraphModule) -> None:
    """Make additions and ReLUs work in place wherever that changes no result."""
    for node in list(graph_module.graph.nodes):
        if called(node, F.relu, torch.relu) or isinstance(layer(graph_module, node), nn.ReLU):
            x = node.args[0]
            if isinstance(x, fx.Node) and _fresh(graph_module, x):
                _replace(graph_module, node, torch.relu_, (x,))
        elif called(node, operator.add, torch.add) and len(node.args) > 1:
            first, second = node.args
            for one, other in ((first, second), (second, first)):
                if isinstance(one, fx.Node) and one is not other and _fresh(graph_module, one):
                    _replace(graph_module, node, add_onto, (one, other))
                    break


def add_onto(x: Tensor, y: Tensor | float) -> Tensor:
    """The sum, in the memory of x if x has its shape."""
    fits = isinstance(y, Tensor) and x.shape == y.shape and x.dtype is y.dtype
    return x.add_(y) if fits else x + y


def _fresh(graph_module: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node's output is new memory that only one other node reads."""
    if not alone(node):
        return False
    if called(node, operator.getitem):
        return _gives_pair(graph_module, node.args[0])
    found = layer(graph_module, node)
    over = called(node, torch.relu_, "add_", add_onto) or node.kwargs.get("inplace")
    if over or getattr(found, "inplace", False):
        before = node.args[0]
        return isinstance(before, fx.Node) and _fresh(graph_module, before)
    own = (F.relu, torch.relu, operator.add, torch.add, upsample)
    return called(node, *own) or isinstance(found, _FRESH)


def _gives_pair(graph_module: fx.GraphModule, node: object) -> bool:
    return isinstance(layer(graph_module, node), OctConv2d)


def _replace(
    graph_module: fx.GraphModule, node: fx.Node, function: object, args: tuple[object, ...]
) -> None:
    with graph_module.graph.inserting_before(node):
        new = graph_module.graph.call_function(function, args)  # type: ignore[arg-type]
    node.replace_all_uses_with(new)
    graph_module.graph.erase_node(node)
