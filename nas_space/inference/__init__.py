"""A trained network as inference computes it fastest: the same function, other operations.

Normalisation disappears into the weights before it, chains of convolutions without anything
between them become fewer ones, and neighbouring octave convolutions hand each other their two maps
without making one of them. What comes out is a `torch.fx.GraphModule` of torch's own layers: it can
be exported, compiled and timed, but neither trained nor told apart by the names of its weights.
"""

import copy

from torch import nn

from nas_space.inference.chains import merge_chains
from nas_space.inference.inplace import write_over
from nas_space.inference.layout import begin_in_rows
from nas_space.inference.norms import absorb_norms
from nas_space.inference.pairs import keep_pairs
from nas_space.inference.tracing import traced

__all__ = ["for_inference"]


def for_inference(module: nn.Module) -> nn.Module:
    """A network of its own that gives what the module gives in eval mode, up to rounding.

    A module whose way depends on what it sees, so that `torch.fx` cannot follow it, is copied.

    Args:
        module: a network of `nas_space.spaces.building.build`, `nas_space.papers` or
            `nas_space.convert`, or any other; stays as it is.
    """
    own = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
    graph_module = traced(own)
    if graph_module is None:
        return own
    absorb_norms(graph_module)
    merge_chains(graph_module)
    keep_pairs(graph_module)
    write_over(graph_module)
    begin_in_rows(graph_module)
    graph_module.graph.eliminate_dead_code()
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
    return graph_module.requires_grad_(requires_grad=False)
