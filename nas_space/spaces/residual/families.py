"""Networks that an engineer would scale by hand: the baselines that a search has to beat.

Each family is a rule from one width to a network: stages of widths w, 2w, 4w and so on, the same
convolutions everywhere.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from nas_space.convs import Conv
from nas_space.convs.igc import IGC
from nas_space.convs.octave import Octave
from nas_space.convs.regular import Regular
from nas_space.convs.separable import Separable
from nas_space.convs.xception import Xception
from nas_space.spaces.residual.stage import Stage
from nas_space.spaces.residual.stem import Stem

WIDTHS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Channels of the first stage, for thumbnails."""
PHOTO_WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Channels of the first stage, for photographs; of a bottleneck those of its inside."""
THUMBNAILS, PHOTOGRAPHS = "thumbnails", "photographs"
THUMBNAIL_SIDE_PIXELS = 64
"""Of the largest images for which the families of thumbnails are."""

Convs = Callable[[int], Conv]
"""From a width to the convolution there."""
_BOTTLENECK_EXPANSION = 4
"""Channels of a bottleneck's output for one of its inside (arXiv 1512.03385)."""


@dataclass(frozen=True, slots=True)
class Family:
    """A rule from a width to a network.

    Attributes:
        name: as people know it.
        depth: blocks of each stage, or of all stages.
        first: the convolution at the beginning of a block.
        second: the one behind it.
        third: of bottlenecks the last one; None makes blocks of two convolutions.
        expansion: hidden channels of a block for one of its width.
        entry: how the first stage halves the map, see `Stage.down`.
        down: how later stages do.
        count: of stages.
        stem: reads the image.
        head: see `ResidualArchitecture.head`.
    """

    name: str
    depth: int | tuple[int, ...]
    first: Convs
    second: Convs
    third: Convs | None = None
    expansion: int = 1
    entry: str | None = None
    down: str = "pooled"
    count: int = 3
    stem: Stem = Stem()  # noqa: RUF009 - it is frozen
    head: int | None = None

    def stages(self, width: int) -> tuple[Stage, ...]:
        """The stages of the network whose first stage has that width."""
        depths = self.depth if isinstance(self.depth, tuple) else (self.depth,) * self.count
        found = []
        for position, depth in enumerate(depths):
            w = width * 2**position
            out, hidden = w, w * self.expansion
            block: tuple[Conv, ...] = (self.first(w), self.second(w))
            if self.third is not None:
                out, block = w * _BOTTLENECK_EXPANSION, (*block, self.third(w))
            down = self.down if position else self.entry
            # Stages of an architecture do not say what is usual.
            down = None if position and down == "strided" else down
            found.append(Stage(out, (block,) * depth, down, hidden if hidden != out else None))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Collection:
    """The families that a space is compared with.

    Attributes:
        families: those that a search tries first at the beginning.
        widths: of first stages.
        reference: a family and a width: a network that people know.
    """

    families: tuple[Family, ...]
    widths: tuple[int, ...]
    reference: tuple[Family, int]

    def every(self) -> Iterator[tuple[Family, int]]:
        """Every family at every width."""
        return itertools.product(self.families, self.widths)


def _everywhere(conv: Conv) -> Convs:
    return lambda _width: conv


_DENSE, _POINTWISE = _everywhere(Regular()), _everywhere(Regular(kernel=1))
_SEPARABLE, _XCEPTION = _everywhere(Separable()), _everywhere(Xception())
_OCTAVE = _everywhere(Octave(alpha=0.25))
_OCTAVE_POINTWISE = _everywhere(Octave(alpha=0.25, kernel=1))


def _igc(width: int) -> Conv:
    """The paper's IGC-L24M2 at any width: two channels a group of the second convolution."""
    return IGC(L=width // 2, M=2)


def _igc_imagenet(width: int) -> Conv:
    """The paper's IGC-L4M32 for ImageNet at any width: four primary partitions."""
    return IGC(L=4, M=width // 4)


FAMILIES = (
    Family("ResNet-8", 1, _DENSE, _DENSE),
    Family("ResNet-8, images halved", 1, _DENSE, _DENSE, entry="pooled"),
    Family("MobileNetV2, 4 stages", 1, _POINTWISE, _SEPARABLE, expansion=3, count=4),
    Family("MobileNetV2, 3 stages", 1, _POINTWISE, _SEPARABLE, expansion=4),
    Family("ResNet-14", 2, _DENSE, _DENSE),
    Family("MobileNetV2, images halved", 1, _POINTWISE, _SEPARABLE, expansion=4, entry="pooled"),
    Family("ResNet-10", 1, _DENSE, _DENSE, count=4),
    Family("Xception, 2 blocks a stage", 2, _XCEPTION, _XCEPTION),
    Family("MobileNet, 2 blocks a stage", 2, _SEPARABLE, _SEPARABLE),
    Family("IGC M=2, 2 blocks a stage", 2, _igc, _igc),
    Family("Oct-ResNet-8, α = ¼", 1, _OCTAVE, _OCTAVE),
    Family("ResNet-20", 3, _DENSE, _DENSE),
)
"""The families, those that a search tries first at the beginning."""


_RESNET_STEM = Stem(Regular(kernel=7), 2, pooled=True)
_HALVING_STEM = Stem(stride=2)


def _photo(name: str, depth: int | tuple[int, ...], conv: Convs, **others: Any) -> Family:  # noqa: ANN401
    """A network on the skeleton of ResNet-18."""
    return Family(name, depth, conv, conv, count=4, stem=_RESNET_STEM, **others)


def _bottlenecks(name: str, depths: tuple[int, ...], mixing: Convs, conv: Convs) -> Family:
    """A network on the skeleton of ResNet-50."""
    return Family(name, depths, mixing, conv, mixing, down="strided", stem=_RESNET_STEM)


def _mobile(name: str, first: Convs, **others: Any) -> Family:  # noqa: ANN401
    """A network whose separable convolutions stand in five stages."""
    return Family(name, first=first, second=_SEPARABLE, count=5, stem=_HALVING_STEM, **others)


PHOTO_FAMILIES = (
    _photo("ResNet-18", 2, _DENSE, down="strided"),
    _mobile("MobileNetV2", _POINTWISE, depth=2, expansion=6),
    _photo("ResNet-10, pooled", 1, _DENSE),
    _mobile("MobileNet", _SEPARABLE, depth=1),
    _bottlenecks("Oct-ResNet-26, α = ¼", (2, 2, 2, 2), _OCTAVE_POINTWISE, _OCTAVE),
    _mobile("MobileNetV2, shallow", _POINTWISE, depth=1, expansion=4),
    _photo("IGC-ResNet-18, L = 4", 2, _igc_imagenet, down="strided"),
    _bottlenecks("ResNet-26", (2, 2, 2, 2), _POINTWISE, _DENSE),
    _photo("ResNet-18, pooled", 2, _DENSE),
    _bottlenecks("Oct-ResNet-50, α = ¼", (3, 4, 6, 3), _OCTAVE_POINTWISE, _OCTAVE),
    _bottlenecks("ResNet-50", (3, 4, 6, 3), _POINTWISE, _DENSE),
)
"""Those that people scale for photographs.

Their shortcuts are dense 1×1 convolutions, also where the papers' are grouped (IGC) or octave ones.
"""

COLLECTIONS: Mapping[str, Collection] = {
    THUMBNAILS: Collection(FAMILIES, WIDTHS, (FAMILIES[-1], 16)),
    PHOTOGRAPHS: Collection(PHOTO_FAMILIES, PHOTO_WIDTHS, (PHOTO_FAMILIES[0], 32)),
}
"""The families of spaces, by the images that these are for.

The reference for photographs has a quarter of ResNet-18's MACs.
"""


def family_of(stem: Stem, stages: tuple[Stage, ...], head: int | None) -> str | None:
    """The name of the family that these parts of an architecture are of."""
    return _names().get((stem, stages, head))


@cache
def _names() -> dict[tuple[Stem, tuple[Stage, ...], int | None], str]:
    return {
        (family.stem, family.stages(width), family.head): family.name
        for collection in COLLECTIONS.values()
        for family, width in collection.every()
    }
