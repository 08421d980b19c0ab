"""The only place that makes modules of an architecture."""

import torch
from torch import Tensor, nn

from nas_space.architecture import Architecture, Layer
from nas_space.convs.base import InvalidChoiceError
from nas_space.norm import NormAct
from nas_space.residual.architecture import ResidualArchitecture


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
        return architecture.module(channels, classes, seed)


class Network(nn.Module):
    """Stem, residual stages, global average pool, linear classifier."""

    def __init__(self, architecture: ResidualArchitecture, channels: int, classes: int) -> None:
        super().__init__()
        stem, *layers = architecture.layers()
        shortcuts = {shortcut.name: shortcut for shortcut in architecture.shortcuts()}
        self.stem = nn.Sequential(stem.conv.build(channels, stem.c_out), NormAct(stem.c_out))
        pairs = zip(layers[::2], layers[1::2], strict=True)
        self.blocks = nn.Sequential(
            *(Residual(a, b, shortcuts.get(a.name.replace("conv1", "shortcut"))) for a, b in pairs)
        )
        self.classifier = nn.Linear(layers[-1].c_out, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to logits (N, classes)."""
        x = self.blocks(self.stem(x))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


class Residual(nn.Module):
    """conv - BN - ReLU - conv - BN, plus the shortcut, ReLU (He et al., arXiv 1512.03385)."""

    def __init__(self, first: Layer, second: Layer, shortcut: Layer | None) -> None:
        super().__init__()
        self.conv1 = _make(first)
        self.bn1 = NormAct(first.c_out)
        self.conv2 = _make(second)
        self.bn2 = NormAct(second.c_out)
        self.shortcut: nn.Module = (
            nn.Sequential(_make(shortcut), NormAct(shortcut.c_out, relu=False))
            if shortcut is not None
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        y = self.bn1(self.conv1(x))
        out: Tensor = self.bn2(self.conv2(y), self.shortcut(x))
        return out


def _make(layer: Layer) -> nn.Module:
    assert layer.c_in is not None  # noqa: S101 - only the stem's is open, and it is made elsewhere
    return layer.conv.build(layer.c_in, layer.c_out, layer.stride)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of convolutions and linear layers from that generator; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
