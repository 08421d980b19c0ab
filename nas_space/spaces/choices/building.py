"""Makes the module of a network of choices, and writes it as text."""

import torch
from torch import nn

from nas_space.bundle.traced import as_text
from nas_space.bundle.written import Written
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.choices.architecture import ChoiceArchitecture


def build(architecture: ChoiceArchitecture, channels: int, classes: int, seed: int) -> nn.Module:
    """The module, whose weights the function draws.

    Raises:
        InvalidArchitectureError: the function fails.
    """
    torch.manual_seed(seed)
    try:
        return architecture.choices.make(architecture.chosen, channels, classes)
    except InvalidArchitectureError as error:
        raise InvalidArchitectureError(f"{architecture.space}: {error}") from None


def written(architecture: ChoiceArchitecture, shape: tuple[int, int, int], classes: int) -> Written:
    """The network as the row of operations that it is in eval mode.

    Raises:
        InvalidArchitectureError: `torch.fx` cannot follow its forward, or it does more than torch.
    """
    network = build(architecture, shape[0], classes, seed=0)
    return as_text(network.eval(), architecture.space, shape, classes)
