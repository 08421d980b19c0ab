"""Makes the module of a residual architecture."""

import torch
from torch import nn

from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import BlockLayers
from nas_space.spaces.residual.network import Network, Residual
from nas_space.weights import initialise


def build(architecture: ResidualArchitecture, channels: int, classes: int, seed: int) -> nn.Module:
    """Stem, blocks, pooling and classifier, freshly drawn; images may be of any size.

    Args:
        architecture: what to make.
        channels: of the images.
        classes: to tell apart.
        seed: of the weights.
    """
    stem, *_ = architecture.layers()
    first = nn.Sequential(
        stem.conv.build(channels, stem.c_out, stem.stride), nn.BatchNorm2d(stem.c_out), nn.ReLU()
    )
    blocks = map(_block, architecture.blocks())
    network = Network(first, blocks, nn.Linear(architecture.stages[-1].width, classes))
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def _block(layers: BlockLayers) -> Residual:
    width, projection = layers.second.c_out, None
    if layers.shortcut is not None:
        projection = nn.Sequential(_make(layers.shortcut), nn.BatchNorm2d(width))
    return Residual(
        width,
        _make(layers.first),
        _make(layers.second),
        projection,
        hidden=layers.first.c_out,
        pool=nn.AvgPool2d(2, ceil_mode=True) if layers.pooled else None,
    )


def _make(layer: Layer) -> nn.Module:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is made elsewhere
    return layer.conv.build(layer.c_in, layer.c_out, layer.stride)
