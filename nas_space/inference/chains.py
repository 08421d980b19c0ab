"""Merges convolutions that have nothing between them.

Two 1×1 convolutions in a row, also with shuffles of channels between them, are linear: together
they are one convolution, and its kernel is the product of theirs. It has more weights and
multiply-adds, but is faster than convolutions in narrow groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from nas_space.inference.tracing import alone, layer, put
from nas_space.weights import through

_WIDEST_DENSE_CHANNELS = 128
"""Beyond this width a dense 1×1 convolution is slower than grouped ones and their shuffles."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Nodes in a row: the only input of each is the output of the one before it."""

    first: fx.Node
    rest: list[fx.Node]

    @property
    def nodes(self) -> list[fx.Node]:
        """All of them."""
        return [self.first, *self.rest]


def chains(graph_module: fx.GraphModule) -> Iterator[Chain]:
    """Every convolution, with the 1×1 convolutions and shuffles that follow; none is in two."""
    done = set[fx.Node]()
    for node in list(graph_module.graph.nodes):
        if node in done or type(layer(graph_module, node)) is not nn.Conv2d:
            continue
        chain = _chain(graph_module, node)
        done.update(chain.rest)
        yield chain


def merge_chains(graph_module: fx.GraphModule) -> None:
    """Merge every chain of 1×1 convolutions and shuffles into one dense 1×1 convolution."""
    for chain in chains(graph_module):
        if _pays(graph_module, chain):
            _merge(graph_module, chain)


def _chain(graph_module: fx.GraphModule, first: fx.Node) -> Chain:
    rest: list[fx.Node] = []
    node = first
    while alone(node):
        node = next(iter(node.users))
        found = layer(graph_module, node)
        if not (isinstance(found, nn.ChannelShuffle) or _is_pointwise(found)):
            break
        rest.append(node)
    return Chain(first, rest)


def _is_pointwise(module: nn.Module | None) -> bool:
    # A subclass may have a forward of its own.
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == module.stride == (1, 1)
        and module.padding == (0, 0)
    )


def _pays(graph_module: fx.GraphModule, chain: Chain) -> bool:
    """Whether one dense 1×1 convolution is faster than the parts of a chain."""
    found = [graph_module.get_submodule(str(node.target)) for node in chain.rest]
    convs = [part for part in found if isinstance(part, nn.Conv2d)]
    if len(found) < 2 or not convs:  # noqa: PLR2004 - a single 1×1 convolution has nothing to merge
        return False
    return max(convs[0].in_channels, convs[-1].out_channels) <= _WIDEST_DENSE_CHANNELS


def together(parts: Sequence[nn.Module], width: int) -> tuple[Tensor, Tensor]:
    """What 1×1 convolutions and shuffles in a row are: a matrix (c_out, width) and a bias (c_out,).

    Args:
        parts: see `nas_space.weights.through`.
        width: channels that the first one reads.
    """
    with torch.no_grad():
        # Of no channels at all they make their biases.
        made = through(parts, torch.eye(width, width + 1, dtype=torch.double))
    return made[:, :-1] - made[:, -1:], made[:, -1]


def _merge(graph_module: fx.GraphModule, chain: Chain) -> None:
    parts = [graph_module.get_submodule(str(node.target)) for node in chain.rest]
    entering = next(part for part in parts if isinstance(part, nn.Conv2d))
    width, kind = entering.in_channels, entering.weight.dtype
    matrix, bias = together(parts, width)
    merged = nn.Conv2d(width, len(matrix), 1)
    merged.weight = nn.Parameter(matrix.to(kind)[:, :, None, None])
    merged.bias = nn.Parameter(bias.to(kind).contiguous())
    last = chain.rest[-1]
    node = put(graph_module, last, merged, chain.first)
    last.replace_all_uses_with(node)
    for old in reversed(chain.rest):
        graph_module.graph.erase_node(old)
