"""Networks that an engineer would scale by hand: the baselines that a search has to beat.

Each family is a rule from one width to a network: stages of widths w, 2w, 4w and so on, the same
convolutions everywhere, 2×2 averages where the map is halved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from nas_space.convs import Conv
from nas_space.convs.igc import IGC
from nas_space.convs.octave import Octave
from nas_space.convs.regular import Regular
from nas_space.convs.separable import Separable
from nas_space.convs.xception import Xception
from nas_space.spaces.residual.stage import Stage

WIDTHS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Channels of the first stage."""

Convs = Callable[[int], Conv]
"""From a width to the convolution there."""


@dataclass(frozen=True, slots=True)
class Family:
    """A rule from a width to a network.

    Attributes:
        name: as people know it.
        depth: blocks of each stage.
        first: the convolution at the beginning of a block.
        second: the one behind it.
        expansion: hidden channels of a block for one of its width.
        entry: how the first stage halves the map, see `Stage.down`.
        count: of stages.
    """

    name: str
    depth: int
    first: Convs
    second: Convs
    expansion: int = 1
    entry: str | None = None
    count: int = 3

    def stages(self, width: int) -> tuple[Stage, ...]:
        """The stages of the network whose first stage has that width."""
        found = []
        for position in range(self.count):
            w = width * 2**position
            block = (self.first(w), self.second(w))
            down = "pooled" if position else self.entry
            hidden = w * self.expansion if self.expansion > 1 else None
            found.append(Stage(w, (block,) * self.depth, down, hidden))
        return tuple(found)


def _everywhere(conv: Conv) -> Convs:
    return lambda _width: conv


_DENSE, _POINTWISE = _everywhere(Regular()), _everywhere(Regular(kernel=1))
_SEPARABLE, _XCEPTION = _everywhere(Separable()), _everywhere(Xception())
_OCTAVE = _everywhere(Octave(alpha=0.25))


def _igc(width: int) -> Conv:
    """The paper's IGC-L24M2 at any width: two channels a group of the second convolution."""
    return IGC(L=width // 2, M=2)


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


def family_of(stages: tuple[Stage, ...]) -> str | None:
    """The name of the family that these stages, as an architecture holds them, are of."""
    return _names().get(stages)


@cache
def _names() -> dict[tuple[Stage, ...], str]:
    return {family.stages(width): family.name for family in FAMILIES for width in WIDTHS}
