"""Activations in channels_last layout, in which a CPU computes narrow convolutions fastest.

With it a network of the mixed space takes 0.65 to 0.8 of its time (docs/results/operators.md).
"""

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from nas_space.inference.tracing import layer


def begin_in_rows(graph_module: fx.GraphModule) -> None:
    """Convert the input of a network to channels_last; all later operations keep that layout."""
    for node in list(graph_module.graph.nodes):
        if node.op == "placeholder":
            with graph_module.graph.inserting_after(node):
                inside = graph_module.graph.call_function(in_rows, (node,))
            node.replace_all_uses_with(inside, delete_user_cb=_other_than(inside))


def average_by_mean(graph_module: fx.GraphModule) -> None:
    """Write pools of whole maps as means: torch exports the pool with a copy that nothing needs."""
    for node in list(graph_module.graph.nodes):
        found = layer(graph_module, node)
        if isinstance(found, nn.AdaptiveAvgPool2d) and found.output_size in (1, (1, 1)):
            with graph_module.graph.inserting_before(node):
                mean = graph_module.graph.call_function(
                    torch.mean, node.args, {"dim": (-2, -1), "keepdim": True}
                )
            node.replace_all_uses_with(mean)
            graph_module.graph.erase_node(node)


def in_rows(x: Tensor) -> Tensor:
    """The same images (N, C, H, W), in memory as (N, H, W, C); other tensors are not changed."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x  # noqa: PLR2004


def _other_than(node: fx.Node) -> Callable[[fx.Node], bool]:
    return lambda user: user is not node
