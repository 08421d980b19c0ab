"""A network as a graph of torch's layers, and of our layers that the passes know."""

from collections.abc import Iterator
from keyword import iskeyword
from operator import attrgetter

import torch
from torch import fx, nn

from nas_space.layers.octave import Octave, pool, upsample


class _Tracer(fx.Tracer):
    """Traces a forward down to torch's layers and octave convolutions."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(pool, upsample))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one operation for the passes."""
        if isinstance(m, Octave | nn.Conv2d):
            return True
        return super().is_leaf_module(m, module_qualified_name)


def traced(module: nn.Module) -> fx.GraphModule | None:
    """The module as a graph that shares its weights; None if its forward cannot be traced."""
    try:
        graph = _Tracer().trace(module)
    except Exception:  # noqa: BLE001 - the module may be the user's, and raise anything
        return None
    without_views(graph)
    for number, node in enumerate(graph.nodes):
        if node.op in {"call_module", "get_attr"} and any(map(iskeyword, node.target.split("."))):
            # torch.fx writes Python with the names as they are.
            setattr(module, f"kept{number}", attrgetter(node.target)(module))
            node.target = f"kept{number}"
    graph_module = fx.GraphModule(module, graph)
    # Reads of a shape would count as uses.
    graph_module.graph.eliminate_dead_code()
    return graph_module


def without_views(graph: fx.Graph) -> None:
    """Have it reshape instead, for maps may lie in memory row by row."""
    for node in graph.find_nodes(op="call_method", target="view"):
        if not isinstance(node.args[-1], torch.dtype):
            node.target = "reshape"


def layer(graph_module: fx.GraphModule, node: object) -> nn.Module | None:
    """The module that a node calls, if no other node calls it; otherwise None."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    if len(graph_module.graph.find_nodes(op="call_module", target=node.target)) > 1:
        return None
    return graph_module.get_submodule(str(node.target))


def called(node: object, *functions: object) -> bool:
    """Whether a node calls one of these functions, or the tensor's method of that name."""
    return (
        isinstance(node, fx.Node)
        and node.op in {"call_function", "call_method"}
        and node.target in functions
        and len(node.args) > 0
        and "alpha" not in node.kwargs  # a factor of torch.add
    )


def alone(node: fx.Node) -> bool:
    """Whether exactly one other node uses the output of a node."""
    return len(node.users) == 1


def put(graph_module: fx.GraphModule, before: fx.Node, module: nn.Module, x: fx.Node) -> fx.Node:
    """A new node that calls a new module, before another node."""
    taken = dict(graph_module.named_children())
    name = next(name for name in _names() if name not in taken)
    graph_module.add_submodule(name, module)
    with graph_module.graph.inserting_before(before):
        return graph_module.graph.call_module(name, (x,))


def _names() -> Iterator[str]:
    count = 0
    while True:
        yield f"merged{count}"
        count += 1


def order(shuffle: nn.ChannelShuffle, channels: int) -> torch.Tensor:
    """For each output channel of a shuffle, its input channel."""
    return torch.arange(channels).view(shuffle.groups, -1).t().flatten()
