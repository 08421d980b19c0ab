"""Convolutions in groups, written as dense ones with the same function.

A convolution in groups is a dense one with zeros between the groups, and convolutions with nothing
between them are linear together. The dense one has more multiply-adds; yet some runtimes compute
it faster. Which of the two is taken, a measurement decides.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from nas_space.inference.chains import Chain, chains, together
from nas_space.inference.tracing import put
from nas_space.weights import block_diagonal

Pays = Callable[[Sequence["Choice"]], Sequence[bool]]
"""For each choice whether its dense form is faster."""

_MOST_WEIGHTS = 4_000_000
"""A dense convolution of more cannot pay: it takes longer to read than groups take to compute."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One convolution, or several in a row, and the dense one with the same function.

    Attributes:
        name: of the first.
        parts: as they are.
        images: what they take, (N, C, H, W).
    """

    name: str
    parts: nn.Sequential
    images: Tensor

    def dense(self) -> nn.Conv2d:
        """The other form, made anew."""
        return _dense(list(self.parts))

    @property
    def key(self) -> str:
        """Equal for choices that take equally long: all but the values of weights."""
        return f"{self.parts} {tuple(self.images.shape)}"


def with_dense(
    modules: Sequence[nn.Module], inputs: Sequence[Tensor], pays: Pays
) -> tuple[list[nn.Module], list[list[str]]]:
    """Modules in which convolutions in groups are dense where that pays.

    Args:
        modules: such as `nas_space.inference.for_inference` makes; they are not changed.
        inputs: of each, (N, C, H, W).
        pays: is asked once, about all modules.

    Returns:
        The modules, and for each the names of the layers that are dense now.
    """
    graphs = [copy.deepcopy(m) if isinstance(m, fx.GraphModule) else None for m in modules]
    found = [
        list(_choices(graph, images)) if graph is not None else []
        for graph, images in zip(graphs, inputs, strict=True)
    ]
    kinds = {choice.key: choice for chosen in found for _, choice in chosen}
    faster = dict(zip(kinds, pays(list(kinds.values())), strict=True)) if kinds else {}
    names = []
    for graph, chosen in zip(graphs, found, strict=True):
        dense = [(chain, choice) for chain, choice in chosen if faster[choice.key]]
        if graph is not None:
            _replace(graph, dense)
        names.append([choice.name for _, choice in dense])
    ours = [m if graph is None else graph for m, graph in zip(modules, graphs, strict=True)]
    return ours, names


def _choices(graph_module: fx.GraphModule, images: Tensor) -> Iterator[tuple[Chain, Choice]]:
    with torch.inference_mode():
        ShapeProp(graph_module).propagate(images)
    for chain in chains(graph_module):
        parts = [graph_module.get_submodule(str(node.target)) for node in chain.nodes]
        first = parts[0]
        assert isinstance(first, nn.Conv2d)  # noqa: S101 - a chain begins with one
        if all(getattr(part, "groups", 1) == 1 for part in parts) or first.padding_mode != "zeros":
            continue
        last = next(part for part in reversed(parts) if isinstance(part, nn.Conv2d))
        if first.in_channels * last.out_channels * math.prod(first.kernel_size) > _MOST_WEIGHTS:
            continue
        (given,) = chain.first.all_input_nodes
        taken = torch.rand(given.meta["tensor_meta"].shape)
        yield chain, Choice(str(chain.first.target), nn.Sequential(*parts), taken)


def _dense(parts: Sequence[nn.Module]) -> nn.Conv2d:
    """One convolution that computes the same as these, the first of which may have any kernel."""
    first, *rest = parts
    assert isinstance(first, nn.Conv2d)  # noqa: S101 - as `chains` found
    weight = block_diagonal(first.weight.detach().double(), first.groups, first.groups)
    bias = weight.new_zeros(len(weight)) if first.bias is None else first.bias.detach().double()
    if rest:
        matrix, shift = together(rest, len(weight))
        weight = torch.einsum("om,mihw->oihw", matrix, weight)
        bias = matrix @ bias + shift
    dense = nn.Conv2d(
        first.in_channels,
        len(weight),
        first.kernel_size,  # type: ignore[arg-type]  # torch says of any number of axes
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
    )
    kind = first.weight.dtype
    dense.weight, dense.bias = (nn.Parameter(values.to(kind)) for values in (weight, bias))
    return dense.requires_grad_(requires_grad=False)


def _replace(graph_module: fx.GraphModule, dense: Iterable[tuple[Chain, Choice]]) -> None:
    for chain, choice in dense:
        (given,) = chain.first.all_input_nodes
        last = chain.nodes[-1]
        node = put(graph_module, chain.first, choice.dense(), given)
        last.replace_all_uses_with(node)
        for old in reversed(chain.nodes):
            graph_module.graph.erase_node(old)
    graph_module.delete_all_unused_submodules()
    graph_module.recompile()
