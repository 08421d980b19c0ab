"""Residual networks in stages, as CIFAR's, whose every convolution is a choice."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from nas_space.convs import InvalidChoiceError
from nas_space.convs.base import Size, out_size
from nas_space.costs.cost import Cost, Task
from nas_space.costs.operations import (
    ADD,
    AVERAGE_POOL,
    MAX_POOL,
    MEAN,
    RELU,
    SCALE,
    Operation,
    Tally,
    linear,
    plain,
)
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import (
    FORMAT,
    Architecture,
    InvalidArchitectureError,
    Layer,
    Rest,
    is_whole,
)
from nas_space.spaces.residual.blocks import (
    POINTWISE,
    BlockLayers,
    BlockSite,
    known_operations,
    sites,
    together,
)
from nas_space.spaces.residual.families import Family, family_of
from nas_space.spaces.residual.memory import peak
from nas_space.spaces.residual.stage import MAX_WIDTH_CHANNELS, Stage, listed
from nas_space.spaces.residual.stem import Stem

_MAX_STAGES = 8
_MAX_WEIGHTS = 10**9
"""Of the convolutions that can be chosen: 4 GB, beyond what our spaces hold."""
_FIELDS = {"format", "skeleton", "stem", "stages"}
_OPTIONAL_FIELDS = {"head"}
_STEM = Stem()
_DENSE_KERNEL_WEIGHTS = 9
"""Weights of a dense 3×3 kernel a pair of channels."""


@dataclass(frozen=True, slots=True)
class ResidualArchitecture(Architecture):
    """A residual network: stem, stages of blocks, perhaps a head, pool, classifier.

    The image's channels and the number of classes are the task's, not the architecture's.

    Attributes:
        stages: see `Stage`.
        stem: the layer that reads the image.
        head: channels of a 1×1 convolution before the pool, as in MobileNetV2; None has none.

    Raises:
        InvalidArchitectureError: a choice does not fit its widths, or a size is out of range.
    """

    skeleton: ClassVar[str] = "residual"
    legend: ClassVar[str] = "stages: width, then the convolutions of each block"

    stages: tuple[Stage, ...]
    stem: Stem = _STEM
    head: int | None = None

    _sites: tuple[BlockSite, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not be built, and give what is as usual its one spelling."""
        if not 1 <= len(self.stages) <= _MAX_STAGES:
            raise InvalidArchitectureError(
                f"an architecture has 1 to {_MAX_STAGES} stages, not {len(self.stages)}"
            )
        for number, stage in enumerate(self.stages, 1):
            stage.check(f"stage{number}")
        if not (self.head is None or 1 <= self.head <= MAX_WIDTH_CHANNELS):
            raise InvalidArchitectureError(
                f"head must be from 1 to {MAX_WIDTH_CHANNELS} channels, not {self.head}"
            )
        stages = tuple(_as_usual(stage, s) for s, stage in enumerate(self.stages))
        object.__setattr__(self, "stages", stages)
        # Every cost walks through them.
        object.__setattr__(self, "_sites", tuple(self._named()))
        weights = sum(site.weights for site in self._sites)
        if weights > _MAX_WEIGHTS:
            raise InvalidArchitectureError(
                f"an architecture has at most {_MAX_WEIGHTS:,} weights, not {weights:,}"
            )

    def layers(self) -> Iterator[Layer]:
        """The convolutions that can be chosen, from stem to head."""
        return (site.layer for site in self._sites)

    def _named(self) -> Iterator[BlockSite]:
        width = self.stages[0].narrow
        # The stem's input is the image, whose channels only regular-like choices can take;
        # `build` checks that one.
        yield BlockSite(Layer("stem", self.stem.conv, None, width, self.stem.stride))
        for s, stage in enumerate(self.stages, 1):
            for b, convs in enumerate(stage.blocks, 1):
                name = f"stage{s}.block{b}"
                down = usual_down(stage, s - 1) if b == 1 else "none"
                yield from sites(name, convs, width, (stage.inner, stage.width), down)
                width = stage.width

    def blocks(self) -> Iterator[BlockLayers]:
        """The layers of each block, in order."""
        left = iter(self._sites[1:])
        for stage in self.stages:
            for convs in stage.blocks:
                yield together(list(itertools.islice(left, len(convs))))

    def shortcuts(self) -> Iterator[Layer]:
        """The 1×1 projections: one wherever a block changes the width or the map's size."""
        return (site.projection for site in self._sites if site.projection is not None)

    def sizes(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """Each layer with the height and width of its input map, for images of that size."""
        return ((site.layer, here) for site, here in self._placed(size))

    def convolutions(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """As `sizes`, and behind the first layer of a block its shortcut, if that is a projection.

        At the end the head. All that has weights, but for normalisation and the classifier.
        """
        for site, here in self._placed(size):
            yield site.layer, here
            if site.projection is not None:
                yield site.projection, here
            size = out_size(here, site.layer.stride)
        if self.head is not None:
            yield Layer("head", POINTWISE, self.stages[-1].width, self.head), size

    def _placed(self, size: Size) -> Iterator[tuple[BlockSite, Size]]:
        """Each site with the size of the map that its layer reads."""
        for site in self._sites:
            if site.pooled:
                size = out_size(size, 2)
            yield site, size
            if site.layer.c_in is None:
                size = self.stem.behind(size)
            elif site.layer.stride > 1:
                size = out_size(size, site.layer.stride)

    def to_json(self) -> dict[str, Any]:
        """The JSON form; of plain dicts, lists, numbers and strings."""
        return {
            "format": FORMAT,
            "skeleton": self.skeleton,
            "stem": str(self.stem),
            "stages": [stage.to_json() for stage in self.stages],
            **({} if self.head is None else {"head": self.head}),
        }

    def sections(self) -> Iterator[tuple[Layer, ...]]:
        """The layers of each stage."""
        _, *layers = self.layers()
        left = iter(layers)
        for stage in self.stages:
            yield tuple(itertools.islice(left, sum(map(len, stage.blocks))))

    def traits(self) -> Iterator[tuple[float, float]]:
        """Whether a stage pools (1), strides (-1) or keeps its map; log of its expansion."""
        for position, stage in enumerate(self.stages):
            down = _DOWN_TRAITS[usual_down(stage, position)]
            yield down, math.log(stage.inner / stage.width)

    def beginning(self) -> tuple[float, float]:
        """Log of the stem's density, and how often it halves the image."""
        width, image = self.stages[0].narrow, 1
        params = price(self.stem.conv, image, width, (1, 1), self.stem.stride).params
        halvings = self.stem.stride - 1.0 + self.stem.pooled
        return math.log(params / (_DENSE_KERNEL_WEIGHTS * width)), halvings

    def dimensions(self) -> dict[str, str]:
        """The stem and the head; width, depth, downsampling and expansion of each stage."""
        found = {"stem": str(self.stem), "head": str(self.head or 0)}
        for number, stage in enumerate(self.stages, 1):
            name = f"stage{number}"
            found[f"{name}.width"] = str(stage.narrow)
            found[f"{name}.depth"] = str(len(stage.blocks))
            found[f"{name}.down"] = usual_down(stage, number - 1)
            found[f"{name}.expansion"] = f"{stage.inner / stage.width:g}"
        return found

    def rest(self, task: Task) -> Rest:
        """The classifier; normalisation counts nothing."""
        features = self.head or self.stages[-1].width
        weights = features * task.classes
        return Rest("classifier", "linear", (features, task.classes), weights, weights)

    def cost(self, task: Task) -> Cost:
        """In closed form."""
        classifier = self.rest(task)
        params, macs = classifier.params + task.classes, classifier.macs
        tally: Tally | None = Tally.of(self._beside(task))
        for layer, size in self.convolutions(task.size):
            c_in = task.channels if layer.c_in is None else layer.c_in
            priced = price(layer.conv, c_in, layer.c_out, size, layer.stride)
            params += priced.params + 2 * layer.c_out  # BN's gamma and beta
            macs += priced.macs
            tally = None if tally is None or priced.tally is None else tally + priced.tally
        return Cost(params, macs, peak(self, task), tally=tally)

    def operations(self, task: Task) -> Iterator[Operation]:
        """What a runtime computes in inference; normalisation is folded into weights.

        Raises:
            InvalidChoiceError: a type says no operations.
        """
        for layer, _ in self.convolutions(task.size):
            c_in = task.channels if layer.c_in is None else layer.c_in
            yield from known_operations(layer.conv, c_in, layer.c_out, layer.stride)
        yield from self._beside(task)

    def _beside(self, task: Task) -> Iterator[Operation]:
        """The operations beside `convolutions`."""
        yield from plain(SCALE, SCALE, *[MAX_POOL] * self.stem.pooled)
        for stage in self.stages:
            for _ in stage.blocks:
                yield from plain(ADD)
        yield from plain(*[AVERAGE_POOL] * sum(site.pooled for site in self._sites), RELU, MEAN)
        yield linear(*self.rest(task).channels)

    def check(self, channels: int, classes: int) -> None:  # noqa: ARG002 - any number
        """Any images, of as many channels as the stem can take."""
        self.stem.conv.check(channels, self.stages[0].narrow)

    @property
    def by_hand(self) -> str | None:
        """See `Architecture.by_hand`."""
        return family_of(self.stem, self.stages, self.head)

    def __str__(self) -> str:
        """A line a person can read: widths, then the choices of each stage."""
        stem = () if self.stem == _STEM else (self.stem,)
        head = () if self.head is None else (f"head {self.head}",)
        return " | ".join(map(str, (*stem, *self.stages, *head)))

    @classmethod
    def of(cls, family: Family, width: int) -> Self:
        """The network of a family at a width of its first stage."""
        return cls(family.stages(width), family.stem, family.head)

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """See `Architecture.read`."""
        if data.keys() - _OPTIONAL_FIELDS != _FIELDS:
            raise InvalidArchitectureError(
                f"an architecture is a JSON object with the fields {', '.join(sorted(_FIELDS))}, "
                f"and may have {', '.join(_OPTIONAL_FIELDS)}"
            )
        head = data.get("head")
        if not (head is None or is_whole(head)):
            raise InvalidArchitectureError("an architecture's head must be a whole number")
        try:
            stages = tuple(map(Stage.read, listed(data["stages"], "stages", _MAX_STAGES)))
            return cls(stages, Stem.read(data["stem"]), head)
        except InvalidChoiceError as error:
            raise InvalidArchitectureError(str(error)) from None


_DOWN_TRAITS = {"none": 0.0, "pooled": 1.0, "strided": -1.0}


def usual_down(stage: Stage, position: int) -> str:
    """How a stage halves the map, one of `DOWNS`; position counts from 0."""
    return stage.down or ("strided" if position else "none")


def _as_usual(stage: Stage, position: int) -> Stage:
    """The same stage in its one spelling."""
    down = None if stage.down == usual_down(replace(stage, down=None), position) else stage.down
    hidden = None if stage.hidden == stage.width else stage.hidden
    if (down, hidden) == (stage.down, stage.hidden):
        return stage
    return replace(stage, down=down, hidden=hidden)
