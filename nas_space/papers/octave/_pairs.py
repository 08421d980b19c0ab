"""Modules on pairs of (high, low) frequency maps, for the networks of octave convolutions.

A pair is a tuple of two maps (N, C, H, W) and (N, C', H/2, W/2), of which the low one may be None.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from nas_space.convs.octave import split
from nas_space.layers.octave import Octaves, OctConv2d, Widths
from nas_space.papers._blocks import Normalise
from nas_space.papers.base import PaperNetwork, UnknownNetworkError

Alpha = float | None
"""Share of low-frequency channels; None is the vanilla network, whose convolutions stride."""

OCT = r"(?:oct-(?=.*-a0)|(?!.*-a0))"
"""Begins the pattern of a name: only those with a share have it, like ``oct-…-a0.25``."""
ALPHA = r"(?:-a(?P<alpha>0(?:\.[0-9]{1,6})?))?"
"""Ends the pattern of a name."""


def alpha_of(parts: Mapping[str, str | None]) -> Alpha:
    """The share in a name that matched `ALPHA`."""
    return float(parts["alpha"]) if parts["alpha"] else None


def spell(kind: str, alpha: Alpha) -> str:
    """The name of an octave or vanilla network of that kind."""
    if alpha is None:
        return kind
    digits = f"{alpha:.6f}".rstrip("0").rstrip(".")
    return f"oct-{kind}-a{digits}"


def shares(width: int, alpha: Alpha) -> Widths:
    """Channels of the (high, low) maps of a tensor of that width."""
    return split(width, alpha or 0.0)


@dataclass(frozen=True, kw_only=True)
class OctaveNetwork(PaperNetwork):
    """What the families share.

    Attributes:
        alpha: share of low-frequency channels; None is vanilla, 0 pools where that strides.
    """

    paper: ClassVar[str] = "Chen et al., Drop an Octave, arXiv 1904.05049"

    alpha: Alpha = None

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1)."""
        if self.alpha is not None and not 0 <= self.alpha < 1:
            raise UnknownNetworkError(f"alpha must be from 0 to below 1, not {self.alpha}")


class Vanilla(nn.Module):
    """A strided convolution in the place of an octave one, on the high map alone."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.h2h = conv

    def forward(self, pair: Octaves) -> Octaves:
        """Map (N, C, H, W) and None to the same of the new width."""
        return self.h2h(pair[0]), None


def conv(
    widths_in: Widths,
    widths_out: Widths,
    kernel: int,
    *,
    alpha: Alpha,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Module:
    """A convolution of pairs: octave, or vanilla where alpha is None."""
    if alpha is not None:
        return OctConv2d(widths_in, widths_out, kernel, stride=stride, groups=groups, bias=bias)
    c_in, c_out, padding = widths_in[0], widths_out[0], kernel // 2
    return Vanilla(nn.Conv2d(c_in, c_out, kernel, stride, padding, groups=groups, bias=bias))


class Each(nn.Module):
    """A module for each frequency that there is.

    Args:
        widths: channels of the (high, low) maps.
        make: makes the module for so many channels.
    """

    def __init__(self, widths: Widths, make: Callable[[int], nn.Module]) -> None:
        super().__init__()
        high, low = widths
        self.h = make(high)
        self.l = make(low) if low else None

    def forward(self, pair: Octaves) -> Octaves:
        """Map each map by its module."""
        high, low = pair
        return self.h(high), None if self.l is None else self.l(low)


class Both(nn.Module):
    """One module without parameters, applied to both frequencies."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pair: Octaves) -> Octaves:
        """Map each map that there is."""
        high, low = pair
        return self.module(high), None if low is None else self.module(low)


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation of a pair (Hu et al., arXiv 1709.01507): one squeeze for both maps.

    Args:
        widths: channels of the (high, low) maps.
        reduction: channels of the block's output for one of the squeeze.
    """

    def __init__(self, widths: Widths, reduction: int = 16) -> None:
        super().__init__()
        squeezed = sum(widths) // reduction
        self.fc1 = nn.Linear(sum(widths), squeezed)
        self.relu = nn.ReLU()
        self.fc2 = Each(widths, lambda width: nn.Linear(squeezed, width))

    def forward(self, pair: Octaves) -> Octaves:
        """Scale every channel of both maps."""
        maps = [x for x in pair if x is not None]
        squeezed = self.relu(self.fc1(torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1)))
        gates = [gate for gate in self.fc2((squeezed, squeezed)) if gate is not None]
        scaled = [x * g.sigmoid()[..., None, None] for x, g in zip(maps, gates, strict=True)]
        return scaled[0], scaled[1] if len(scaled) > 1 else None


def normalised(conv: nn.Conv2d | nn.Conv3d, norm: Normalise, **after: nn.Module) -> nn.Sequential:
    """A convolution of one map, its normalisation, and the modules after it by their names."""
    return nn.Sequential(OrderedDict(conv=conv, bn=norm(conv.out_channels), **after))


def add(a: Octaves, b: Octaves) -> Octaves:
    """The sum, frequency by frequency; both have the same ones."""
    high, low = (None if x is None or y is None else x + y for x, y in zip(a, b, strict=True))
    return high, low


def concatenate(a: Octaves, b: Octaves) -> Octaves:
    """All channels of both, frequency by frequency; one may lack the low one."""
    pairs = ([x for x in both if x is not None] for both in zip(a, b, strict=True))
    high, low = (torch.cat(maps, dim=1) if maps else None for maps in pairs)
    return high, low


class GlobalPool(nn.Module):
    """The mean over all that follows the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, …) to (N, C)."""
        return x.flatten(2).mean(dim=2)


class OctNet(nn.Module):
    """Stem, a body of pairs that ends without low frequencies, tail, pool, classifier.

    Args:
        stem: maps images to the high map that enters the body.
        body: maps pairs to pairs.
        tail: maps the last high map to what is pooled.
        features: channels of what is pooled.
        classes: of the classifier.
        pool: maps (N, features, …) to (N, features).
    """

    def __init__(
        self,
        stem: nn.Module,
        body: nn.Module,
        tail: nn.Module,
        features: int,
        *,
        classes: int = 1000,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.body = body
        self.tail = tail
        self.pool = GlobalPool() if pool is None else pool
        self.fc = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) or clips (N, 3, T, H, W) to logits (N, classes)."""
        high, _ = self.body((self.stem(x), None))
        logits: Tensor = self.fc(self.pool(self.tail(high)))
        return logits
