"""Video networks of octave convolutions: C2D and I3D with a ResNet-50, and the vanilla ones.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, Table 8; the networks are those
of Wang et al., *Non-local Neural Networks*, arXiv 1711.07971. Their octave code is not public.

Only height and width are halved, never time. Clips have 8 frames; a temporal max pooling after the
first stage leaves 4. The stem and the last stage are vanilla, as in the image networks.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import nn

from nas_space.layers.octave import OctConv3d, Widths
from nas_space.papers.base import MACS, Figure, Shape
from nas_space.papers.octave._bottlenecks import Plan, PostActivated
from nas_space.papers.octave._pairs import (
    ALPHA,
    OCT,
    Alpha,
    Both,
    OctaveNetwork,
    OctNet,
    Vanilla,
    alpha_of,
    normalised,
    shares,
    spell,
)

_INFLATED = ((3, 3, 3), (3, 1, 3, 1), (3, 1, 3, 1, 3, 1), (1, 3, 1))
"""Frames of the kernel of the first convolution of each block of I3D."""
_CLASSES = 400
_TABLE_8 = "OctConv paper (arXiv 1904.05049), Table 8"
_ONE_PERCENT = "ours is 1 % higher; the ratio to the vanilla network is the printed one"
_NO_FIT = "not met with stem and last stage vanilla; 22.1G is what alpha = 0.25 gives"

Kernel = tuple[int, int, int]
"""Frames, height, width."""


def _figure(printed: str, gap: str = _ONE_PERCENT) -> tuple[Figure, ...]:
    return (Figure(printed=printed, counted=MACS, source=_TABLE_8, gap=gap),)


@dataclass(frozen=True, kw_only=True)
class OctVideo(OctaveNetwork):
    """A ResNet-50 for clips: per frame (C2D), or inflated in time (I3D).

    I3D has a 5×7×7 stem, and 3×1×1 instead of 1×1×1 in the first convolution of the first stage's
    blocks and of every other block after it.

    Attributes:
        inflated: whether it is I3D.
    """

    pattern: ClassVar[str] = OCT + r"(?P<kind>c2d|i3d)-resnet-50" + ALPHA

    inflated: bool = False

    @property
    def name(self) -> str:
        """E.g. ``oct-i3d-resnet-50-a0.1``, ``c2d-resnet-50``."""
        return spell(f"{'i3d' if self.inflated else 'c2d'}-resnet-50", self.alpha)

    @property
    def shape(self) -> Shape:
        """Clips of 8 frames."""
        return 3, 8, 224, 224

    @classmethod
    def catalogue(cls) -> Iterator[Self]:
        """Those of Table 8 without non-local blocks."""
        return (cls(inflated=inflated, alpha=alpha) for inflated, alpha in _FIGURES)

    @classmethod
    def from_parts(cls, parts: Mapping[str, str | None]) -> Self:
        """See `PaperNetwork.from_parts`."""
        return cls(inflated=parts["kind"] == "i3d", alpha=alpha_of(parts))

    def figures(self) -> tuple[Figure, ...]:
        """The paper's FLOPs a clip."""
        return _FIGURES.get((self.inflated, self.alpha), ())

    def module(self) -> nn.Module:
        """Stem, four stages of bottlenecks, classifier."""
        time = 5 if self.inflated else 1
        first = nn.Conv3d(3, 64, (time, 7, 7), (1, 2, 2), (time // 2, 3, 3), bias=False)
        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        stem = normalised(first, nn.BatchNorm3d, relu=nn.ReLU(), pool=pool)
        body: OrderedDict[str, nn.Module] = OrderedDict()
        before: Widths = (64, 0)
        for stage, kernels in enumerate(_INFLATED):
            alpha = 0.0 if stage == len(_INFLATED) - 1 else self.alpha
            out = shares(256 * 2**stage, alpha)
            for block, frames in enumerate(kernels):
                body[f"L{stage + 1}_B{block}"] = PostActivated(
                    _ClipPlan(
                        widths=(before, shares(64 * 2**stage, alpha), out),
                        frames=frames if self.inflated else 1,
                        stride=2 if stage and not block else 1,
                        projects=not block,
                        alpha=self.alpha,
                    )
                )
                before = out
            if not stage:
                body["pool"] = Both(nn.MaxPool3d((2, 1, 1), (2, 1, 1)))
        features = sum(before)
        return OctNet(stem, nn.Sequential(body), nn.Identity(), features, classes=_CLASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClipPlan(Plan):
    """What a bottleneck on clips is made of; its 3×3 convolution strides, in height and width.

    Attributes:
        frames: of the first convolution's kernel.
    """

    frames: int

    def convs(self) -> Iterator[nn.Module]:
        before, mid, out = self.widths
        yield _conv(before, mid, (self.frames, 1, 1), self.alpha)
        yield _conv(mid, mid, (1, 3, 3), self.alpha, self.stride)
        yield _conv(mid, out, (1, 1, 1), self.alpha)

    def shortcut(self) -> nn.Module | None:
        before, _, out = self.widths
        return _conv(before, out, (1, 1, 1), self.alpha, self.stride) if self.projects else None

    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm3d(channels)


def _conv(
    widths_in: Widths, widths_out: Widths, kernel: Kernel, alpha: Alpha, stride: int = 1
) -> nn.Module:
    if alpha is not None:
        return OctConv3d(widths_in, widths_out, kernel, stride=stride)
    frames, height, width = (side // 2 for side in kernel)
    strides, padding = (1, stride, stride), (frames, height, width)
    return Vanilla(nn.Conv3d(widths_in[0], widths_out[0], kernel, strides, padding, bias=False))


_FIGURES = {
    (False, None): _figure("19.3G"),
    (False, 0.1): _figure("17.4G"),
    (True, None): _figure("28.1G"),
    (True, 0.1): _figure("25.6G"),
    (True, 0.2): _figure("22.1G", _NO_FIT),
    (True, 0.3): _figure("15.3G", _NO_FIT),
}
