"""Octave convolutions that pass on their (high, low) maps directly.

A convolution whose input and output are one tensor pools its low channels on entry and upsamples
them on exit. Pooling undoes upsampling, also at odd sizes. So between two convolutions with equal
shares both can be left out; a ReLU or an addition between them works on each map.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.inference.tracing import alone, called
from nas_space.layers.octave import Octave, OctConv2d, Widths, pool, upsample

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add_")
_IN_PLACE = (operator.iadd, "add_", "relu_")
_CUTS = (F.relu, torch.relu, "relu", "relu_")


@dataclass(frozen=True, slots=True)
class _Pair:
    high: fx.Node
    low: fx.Node
    widths: Widths


def first_channels(x: Tensor, count: int) -> Tensor:
    """The first channels of (N, C, H, W)."""
    return x[:, :count]


def last_channels(x: Tensor, after: int) -> Tensor:
    """The channels of (N, C, H, W) after the first ones."""
    return x[:, after:]


def joined(high: Tensor, low: Tensor) -> Tensor:
    """The one tensor (N, C + C', H, W) of a pair of maps (N, C, H, W) and (N, C', H/2, W/2)."""
    return torch.cat([high, upsample(low, (high.shape[2], high.shape[3]))], dim=1)


def keep_pairs(graph_module: fx.GraphModule) -> None:
    """Make octave convolutions work on pairs, joined to one tensor only where needed."""
    graph, pairs = graph_module.graph, dict[fx.Node, _Pair]()
    for node in list(graph.nodes):
        with graph.inserting_before(node):
            pair = _as_pair(graph_module, node, pairs)
            if pair is None:
                continue
            whole = graph.call_function(joined, (pair.high, pair.low))
        # If only pairs use it, it is removed.
        pairs[whole] = pair
        node.replace_all_uses_with(whole)
        graph.erase_node(node)
    graph.eliminate_dead_code()


def _as_pair(
    graph_module: fx.GraphModule, node: fx.Node, pairs: dict[fx.Node, _Pair]
) -> _Pair | None:
    """Add nodes that compute the output of a node as a pair; None if that is not possible."""
    module = None
    if node.op == "call_module":
        module = graph_module.get_submodule(str(node.target))
    if isinstance(module, Octave):
        return _octave(node, module.conv, pairs)
    if isinstance(module, nn.ReLU) or called(node, *_CUTS):
        return _each(F.relu, node, pairs)
    if called(node, *_ADDITIONS):
        return _each(operator.add, node, pairs)
    return None


def _octave(node: fx.Node, conv: OctConv2d, pairs: dict[fx.Node, _Pair]) -> _Pair | None:
    """The convolution on its input as a pair, which may have to be made from a tensor."""
    if not all((*conv.widths_in, *conv.widths_out)):
        return None
    graph, x = node.graph, node.args[0]
    assert isinstance(x, fx.Node)  # noqa: S101 - convolutions take tensors
    given = pairs.get(x)
    if given is None or given.widths != conv.widths_in:
        high = graph.call_function(first_channels, (x, conv.widths_in[0]))
        low = graph.call_function(last_channels, (x, conv.widths_in[0]))
        given = _Pair(high, graph.call_function(pool, (low,)), conv.widths_in)
    y = graph.call_module(f"{node.target}.conv", ((given.high, given.low),))
    high, low = (graph.call_function(operator.getitem, (y, at)) for at in (0, 1))
    return _Pair(high, low, conv.widths_out)


def _each(
    function: Callable[..., Tensor], node: fx.Node, pairs: dict[fx.Node, _Pair]
) -> _Pair | None:
    """A function applied to each map, if all its inputs are pairs of the same widths."""
    found = [pairs.get(part) if isinstance(part, fx.Node) else None for part in node.args]
    taken = [pair for pair in found if pair is not None]
    # A later reader of a tensor that was changed in place must read the changed one.
    if any(isinstance(part, fx.Node) and not alone(part) for part in node.args[:1]) and (
        node.target in _IN_PLACE or node.kwargs.get("inplace")
    ):
        return None
    if not taken or len(taken) < len(found) or len({pair.widths for pair in taken}) > 1:
        return None
    high = node.graph.call_function(function, tuple(pair.high for pair in taken))
    low = node.graph.call_function(function, tuple(pair.low for pair in taken))
    return _Pair(high, low, taken[0].widths)
