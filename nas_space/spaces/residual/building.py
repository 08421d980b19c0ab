"""Makes the module of a residual architecture."""

import torch
from torch import nn

from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import POINTWISE, BlockLayers
from nas_space.spaces.residual.network import Bottleneck, Network, Residual
from nas_space.weights import initialise


def build(architecture: ResidualArchitecture, channels: int, classes: int, seed: int) -> nn.Module:
    """Stem, blocks, head, pooling and classifier, freshly drawn; images may be of any size.

    Args:
        architecture: what to make.
        channels: of the images.
        classes: to tell apart.
        seed: of the weights.
    """
    stem, *_ = architecture.layers()
    first: list[nn.Module] = [stem.conv.build(channels, stem.c_out, stem.stride)]
    first += [nn.BatchNorm2d(stem.c_out), nn.ReLU()]
    if architecture.stem.pooled:
        first.append(nn.MaxPool2d(3, stride=2, padding=1))
    width, head = architecture.stages[-1].width, None
    if architecture.head is not None:
        mixing = POINTWISE.build(width, architecture.head)
        width = architecture.head
        head = nn.Sequential(mixing, nn.BatchNorm2d(width), nn.ReLU())
    blocks = map(_block, architecture.blocks())
    network = Network(nn.Sequential(*first), blocks, nn.Linear(width, classes), head)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def _block(block: BlockLayers) -> nn.Module:
    width, hidden, projection = block.width, block.hidden, None
    if block.shortcut is not None:
        projection = nn.Sequential(_make(block.shortcut), nn.BatchNorm2d(width))
    pool = nn.AvgPool2d(2, ceil_mode=True) if block.pooled else None
    match [_make(layer) for layer in block.layers]:
        case [first, second, third]:
            return Bottleneck(width, hidden, first, second, third, projection, pool=pool)
        case [first, second]:
            return Residual(width, first, second, projection, hidden=hidden, pool=pool)
    raise AssertionError("a block has two or three convolutions")


def _make(layer: Layer) -> nn.Module:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is made elsewhere
    return layer.conv.build(layer.c_in, layer.c_out, layer.stride)
