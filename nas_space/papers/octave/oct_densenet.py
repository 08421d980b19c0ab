"""DenseNet-121 of octave convolutions, and the vanilla one.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, and the authors' code; the
network is Huang et al.'s, arXiv 1608.06993: growth 32, bottlenecks of 128, compression ½.

A dense layer's two convolutions are octave ones, so the concatenated maps hold the sums of the
layers' shares. The last transition takes the low frequencies back; the last dense block is vanilla.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.layers.octave import Octaves, Widths
from nas_space.papers._blocks import Normalise
from nas_space.papers.octave._pairs import (
    ALPHA,
    OCT,
    Alpha,
    Both,
    Each,
    OctaveNetwork,
    OctNet,
    alpha_of,
    concatenate,
    conv,
    normalised,
    shares,
    spell,
)

_LAYERS = (6, 12, 24, 16)
_GROWTH, _MID, _STEM = 32, 128, 64


@dataclass(frozen=True, kw_only=True)
class OctDenseNet(OctaveNetwork):
    """DenseNet-121.

    Attributes:
        octave_stem: whether the 7×7 stem is an octave convolution too, as in the authors' gluon
            library and against the paper's rule; the ablation's network has a vanilla one.
    """

    pattern: ClassVar[str] = OCT + r"densenet-121(?P<gluon>-gluon)?" + ALPHA

    octave_stem: bool = False

    @property
    def name(self) -> str:
        """E.g. ``oct-densenet-121-a0.125``, ``oct-densenet-121-gluon-a0.125``."""
        return spell(f"densenet-121{'-gluon' if self.octave_stem else ''}", self.alpha)

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Those of the paper's ablation, and the authors' other library's."""
        for alpha in (None, 0.0625, 0.125, 0.25, 0.5):
            yield cls(alpha=alpha)
        for alpha in (0.125, 0.25):
            yield cls(alpha=alpha, octave_stem=True)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(alpha=alpha_of(parts), octave_stem=bool(parts["gluon"]))

    def module(self) -> nn.Module:
        """Stem, four dense blocks with transitions between, BN-ReLU, classifier."""
        # The two libraries have their own constants of BN.
        norm: Normalise = nn.BatchNorm2d if self.octave_stem else _symbol_norm
        body: OrderedDict[str, nn.Module] = OrderedDict()
        stem: nn.Module = nn.Identity()
        if self.octave_stem:
            widths = shares(_STEM, self.alpha)
            body["conv0"] = conv((3, 0), widths, 7, alpha=self.alpha, stride=2)
            body["bn0"] = Each(widths, norm)
            body["relu0"], body["pool0"] = Both(nn.ReLU()), Both(nn.MaxPool2d(3, 2, 1))
        else:
            widths = (_STEM, 0)
            first = nn.Conv2d(3, _STEM, 7, 2, 3, bias=False)
            stem = normalised(first, norm, relu=nn.ReLU(), pool=nn.MaxPool2d(3, 2, 1))
        for stage, count in enumerate(_LAYERS, 1):
            alpha = 0.0 if stage == len(_LAYERS) else self.alpha
            if stage > 1:
                halved = shares(sum(widths) // 2, alpha)
                body[f"T{stage}"] = Transition(widths, halved, self.alpha, norm)
                widths = halved
            grown = shares(_GROWTH, alpha)
            for layer in range(count):
                body[f"L{stage}_B{layer}"] = DenseLayer(
                    (widths, shares(_MID, alpha), grown), self.alpha, norm
                )
                widths = widths[0] + grown[0], widths[1] + grown[1]
        features = sum(widths)
        tail = nn.Sequential(OrderedDict(bn=norm(features), relu=nn.ReLU()))
        return OctNet(stem, nn.Sequential(body), tail, features)


def _symbol_norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-4, momentum=0.08)


class DenseLayer(nn.Module):
    """BN - ReLU - 1×1 convolution, BN - ReLU - 3×3 convolution; its input stays in front."""

    def __init__(
        self, widths: tuple[Widths, Widths, Widths], alpha: Alpha, norm: Normalise
    ) -> None:
        super().__init__()
        before, mid, grown = widths
        self.bn1, self.bn2 = Each(before, norm), Each(mid, norm)
        self.conv1 = conv(before, mid, 1, alpha=alpha)
        self.conv2 = conv(mid, grown, 3, alpha=alpha)
        self.relu = Both(nn.ReLU())

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair to the pair with `grown` more channels."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        return concatenate(x, y)


class Transition(nn.Module):
    """BN - ReLU - 1×1 convolution - average pooling of each frequency."""

    def __init__(self, before: Widths, after: Widths, alpha: Alpha, norm: Normalise) -> None:
        super().__init__()
        self.bn = Each(before, norm)
        self.relu = Both(nn.ReLU())
        self.conv = conv(before, after, 1, alpha=alpha)
        self.pool = Both(nn.AvgPool2d(2, 2))

    def forward(self, x: Octaves) -> Octaves:
        """Map a pair to a pair of half the channels and half the height and width."""
        y: Octaves = self.pool(self.conv(self.relu(self.bn(x))))
        return y
