"""Modules that several families share."""

from collections.abc import Callable

from torch import Tensor, nn

Normalise = Callable[[int], nn.Module]
"""Makes a normalisation layer for that many channels."""


class Sum(nn.Module):
    """The sum of what several branches make of one input."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map x to the sum of the branches' outputs, all of one shape."""
        first, *rest = (branch(x) for branch in self.branches)
        total: Tensor = first
        for part in rest:
            total = total + part
        return total


def conv_norm_relu(conv: nn.Module, channels: int, norm: Normalise) -> nn.Sequential:
    """A convolution, its normalisation and ReLU."""
    return nn.Sequential(conv, norm(channels), nn.ReLU())


def shortcut(c_in: int, c_out: int, stride: int, norm: Normalise, *, groups: int = 1) -> nn.Module:
    """The identity, or where the width changes a 1×1 convolution and its normalisation."""
    if c_in == c_out:
        return nn.Identity()
    line = nn.Conv2d(c_in, c_out, 1, stride, groups=groups, bias=False)
    return nn.Sequential(line, norm(c_out))


def classify(features: int, classes: int) -> nn.Sequential:
    """Global average pooling and a linear classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))
