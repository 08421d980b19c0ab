"""Makes the module of a residual architecture."""

import torch
from torch import nn

from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.network import Network
from nas_space.weights import initialise


def build(architecture: ResidualArchitecture, channels: int, classes: int, seed: int) -> nn.Module:
    """Stem, blocks, pooling and classifier, freshly drawn; images may be of any size.

    Args:
        architecture: what to make.
        channels: of the images.
        classes: to tell apart.
        seed: of the weights.
    """
    network = Network(architecture, channels, classes)
    initialise(network, torch.Generator().manual_seed(seed))
    return network
