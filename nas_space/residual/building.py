"""Makes the module of a residual architecture."""

import torch
from torch import nn

from nas_space.network import Network, initialise
from nas_space.residual.architecture import ResidualArchitecture


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
