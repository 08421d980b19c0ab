"""A trained network rewritten for fast inference: the same function, other operations.

Normalisation is merged into the weights before it, chains of convolutions with nothing between
them become fewer convolutions, and neighbouring octave convolutions pass on their two maps without
joining them. The result is a `torch.fx.GraphModule` of torch's own layers: it can be exported,
compiled and timed, but not trained, and its weights have other names.
"""

import copy

from torch import nn

from nas_space.inference.chains import merge_chains
from nas_space.inference.inplace import write_over
from nas_space.inference.layout import average_by_mean, begin_in_rows
from nas_space.inference.norms import absorb_norms
from nas_space.inference.pairs import keep_pairs
from nas_space.inference.tracing import traced

__all__ = ["for_inference"]


def for_inference(module: nn.Module) -> nn.Module:
    """A new network with the same outputs as the module in eval mode, up to rounding.

    A module whose control flow depends on its input cannot be traced by `torch.fx`; it is copied.

    Args:
        module: a network of `nas_space.spaces.building.build`, `nas_space.papers` or
            `nas_space.convert`, or any other; it is not changed.
    """
    own = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
    graph_module = traced(own)
    if graph_module is None:
        return own
    absorb_norms(graph_module)
    merge_chains(graph_module)
    keep_pairs(graph_module)
    write_over(graph_module)
    average_by_mean(graph_module)
    begin_in_rows(graph_module)
    graph_module.graph.eliminate_dead_code()
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module.requires_grad_(requires_grad=False)
