"""Makes the module of an architecture."""

import torch
from torch import nn

from nas_space.errors import InvalidChoiceError
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.skeletons import SKELETONS


def build(
    architecture: Architecture,
    channels: int,
    classes: int,
    *,
    seed: int = 0,
) -> nn.Module:
    """Make the network of an architecture, freshly initialised.

    It maps images (N, channels, H, W) to logits (N, classes). Weights are drawn from a generator
    of their own: the global random state stays as it was. Those of residual networks are drawn as
    in the IGC authors' code, N(0, 2/fan_in), and take images of any size.

    Args:
        architecture: what to make.
        channels: of the images.
        classes: to tell apart.
        seed: of the weights.

    Raises:
        InvalidChoiceError: a stem cannot take that many image channels, or a count is below 1.
        InvalidArchitectureError: the architecture is not for such images.
    """
    if min(channels, classes) < 1:
        raise InvalidChoiceError(f"cannot build for {channels} channels and {classes} classes")
    architecture.check(channels, classes)
    with torch.random.fork_rng(devices=()):
        skeleton = SKELETONS.get(architecture.skeleton)
        return skeleton.build(architecture, channels, classes, seed)
