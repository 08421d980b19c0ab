"""Operations as the counter of the OctConv authors has them, for figures that were counted so.

The counter that their README names (Ldpe2g/CalFlops) reads an MXNet graph: multiply-adds of
convolutions and linear layers, one operation an output that has a bias, k² an output of pooling,
and one an element of every ``Activation`` node. Two things depend on which of their two libraries
built the network. The symbol library pools high maps once for both paths of a strided octave
convolution, and every ReLU is an ``Activation`` node; the gluon library pools 4×4 for the path to
the low map, and only ReLUs outside of octave layers are such nodes.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from nas_space.layers.octave import Octaves, OctConv2d
from nas_space.papers.base import Counting, PaperNetwork
from nas_space.papers.octave._pairs import Both, GlobalPool, SqueezeExcite


def _tally(network: PaperNetwork, *, symbol: bool) -> int:
    with torch.device("meta"):
        module = network.module().eval()
    total = 0

    def add(count: Callable[[Any, Any], int]) -> Callable[[nn.Module, Any, Any], None]:
        def hook(part: nn.Module, inputs: Any, _output: Any) -> None:  # noqa: ANN401
            nonlocal total
            total += count(part, inputs[0])

        return hook

    inner = {part.module for part in module.modules() if isinstance(part, Both)}
    for part in module.modules():
        if isinstance(part, OctConv2d):
            part.register_forward_hook(add(_gluon_pools if not symbol else _symbol_pools))
        elif isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
            part.register_forward_hook(add(_pool))
        elif isinstance(part, nn.ReLU) and (symbol or part not in inner):
            part.register_forward_hook(add(_elements))
        elif isinstance(part, GlobalPool) or (isinstance(part, SqueezeExcite) and symbol):
            # A window as large as the map: as many operations as pixels go in
            part.register_forward_hook(add(_elements))
    with torch.no_grad():
        module(torch.zeros(1, *network.shape, device="meta"))
    layers = network.counts().layers
    return total + sum(layer.macs + layer.biases * math.prod(layer.size) for layer in layers)


def _elements(_part: nn.Module, maps: Tensor | Octaves) -> int:
    if isinstance(maps, Tensor):
        return maps.numel()
    return sum(x.numel() for x in maps if x is not None)


def _pool(pool: nn.MaxPool2d | nn.AvgPool2d, x: Tensor) -> int:
    kernel, stride = int(pool.kernel_size), int(pool.stride)  # type: ignore[arg-type]
    pad = int(pool.padding)  # type: ignore[arg-type]
    height, width = ((side + 2 * pad - kernel) // stride + 1 for side in x.shape[2:])
    return int(kernel**2 * x.shape[1] * height * width)


def _symbol_pools(conv: OctConv2d, pair: Octaves) -> int:
    high, low = pair
    strided = conv.stride > 1
    total = 0
    if high is not None:
        # 2×2 windows: as many operations as pixels go in
        total += high.numel() if strided else 0
        if conv.h2l is not None:
            total += high.numel() // (4 if strided else 1)
    if low is not None and strided and conv.l2l is not None:
        total += low.numel()
    return total


def _gluon_pools(conv: OctConv2d, pair: Octaves) -> int:
    high, low = pair
    strided = conv.stride > 1
    total = 0
    if high is not None:
        total += high.numel() if strided and conv.h2h is not None else 0
        # one window of 2×2 or 4×4
        total += high.numel() if conv.h2l is not None else 0
    if low is not None and strided and conv.l2l is not None:
        total += low.numel()
    return total


@cache
def _symbol(network: PaperNetwork) -> int:
    return _tally(network, symbol=True)


@cache
def _gluon(network: PaperNetwork) -> int:
    return _tally(network, symbol=False)


_LABEL = "MACs, biases, pooling, ReLU"
SYMBOL_COUNTER = Counting(_LABEL, _symbol)
GLUON_COUNTER = Counting(_LABEL, _gluon)
