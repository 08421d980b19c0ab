"""Residual networks in stages, as CIFAR's, whose every convolution is a choice."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Self

from nas_space.convs import Conv, InvalidChoiceError, parse
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Cost, Task
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import (
    FORMAT,
    Architecture,
    InvalidArchitectureError,
    Layer,
    Rest,
    is_whole,
)
from nas_space.spaces.residual.memory import peak

_MAX_WIDTH_CHANNELS = 8192
_MAX_BLOCKS = 256
_MAX_STAGES = 8
_MAX_WEIGHTS = 10**8
"""Of the convolutions that can be chosen: 400 MB, far beyond what our spaces hold."""
_FIELDS = {"format", "skeleton", "stem", "stages"}
_CACHE_ENTRIES = 2**16
"""Layers: a search makes hundreds of networks a proposal, which share most of theirs."""

_STEM = Regular()
_PROJECTION = Regular(kernel=1)

Block = tuple[Conv, Conv]
"""The two convolutions of a residual block."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Residual blocks of one width; the first block of a stage halves the map, but for stage 1."""

    width: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class BlockLayers:
    """The layers of a residual block.

    Attributes:
        name: of the block, e.g. ``stage1.block2``.
        first: the convolution that takes the stride and changes the width.
        second: the convolution behind it.
        shortcut: the 1×1 projection; None where the shortcut is the identity.
    """

    name: str
    first: Layer
    second: Layer
    shortcut: Layer | None


@dataclass(frozen=True, slots=True)
class ResidualArchitecture(Architecture):
    """A residual, CIFAR-style network: stem, stages of two-convolution blocks, pool, classifier.

    The image's channels and the number of classes are the task's, not the architecture's.

    Raises:
        InvalidArchitectureError: a choice does not fit its widths, or a size is out of range.
    """

    skeleton: ClassVar[str] = "residual"
    legend: ClassVar[str] = "stages: width, then the convolutions of each block"

    stages: tuple[Stage, ...]
    stem: Conv = _STEM

    _sites: tuple["_BlockSite", ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not be built."""
        if not 1 <= len(self.stages) <= _MAX_STAGES:
            raise InvalidArchitectureError(
                f"an architecture has 1 to {_MAX_STAGES} stages, not {len(self.stages)}"
            )
        for number, stage in enumerate(self.stages, 1):
            if not 1 <= stage.width <= _MAX_WIDTH_CHANNELS:
                raise InvalidArchitectureError(
                    f"stage{number}: width must be from 1 to {_MAX_WIDTH_CHANNELS}, "
                    f"not {stage.width}"
                )
            if not 1 <= len(stage.blocks) <= _MAX_BLOCKS:
                raise InvalidArchitectureError(
                    f"stage{number}: 1 to {_MAX_BLOCKS} blocks, not {len(stage.blocks)}"
                )
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

    def _named(self) -> Iterator["_BlockSite"]:
        width = self.stages[0].width
        # The stem's input is the image, whose channels only regular-like choices can take;
        # `build` checks that one.
        yield _BlockSite(Layer("stem", self.stem, None, width))
        for s, stage in enumerate(self.stages, 1):
            for b, (first, second) in enumerate(stage.blocks, 1):
                block = f"stage{s}.block{b}"
                stride = 2 if s > 1 and b == 1 else 1
                yield _first(block, first, width, stage.width, stride)
                yield _second(block, second, stage.width)
                width = stage.width

    def blocks(self) -> Iterator[BlockLayers]:
        """The layers of each block, in order."""
        sites = self._sites[1:]
        for first, second in zip(sites[::2], sites[1::2], strict=True):
            name = first.layer.name.rpartition(".")[0]
            yield BlockLayers(name, first.layer, second.layer, first.projection)

    def shortcuts(self) -> Iterator[Layer]:
        """The 1×1 projections: one wherever a block changes the width or the map's size."""
        return (site.projection for site in self._sites if site.projection is not None)

    def sizes(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """Each layer with the height and width of its input map, for images of that size."""
        for site in self._sites:
            yield site.layer, size
            if site.layer.stride > 1:
                size = out_size(size, site.layer.stride)

    def convolutions(self, size: Size) -> Iterator[tuple[Layer, Size]]:
        """As `sizes`, and behind the first layer of a block its shortcut, if that is a projection.

        All that has weights, but for normalisation and the classifier.
        """
        for site in self._sites:
            yield site.layer, size
            if site.projection is not None:
                yield site.projection, size
            if site.layer.stride > 1:
                size = out_size(size, site.layer.stride)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, of plain dicts, lists, numbers and strings."""
        return {
            "format": FORMAT,
            "skeleton": self.skeleton,
            "stem": str(self.stem),
            "stages": [
                {
                    "width": stage.width,
                    "blocks": [[str(conv) for conv in block] for block in stage.blocks],
                }
                for stage in self.stages
            ],
        }

    def sections(self) -> Iterator[tuple[Layer, ...]]:
        """The layers of each stage."""
        _, *layers = self.layers()
        start = 0
        for stage in self.stages:
            end = start + 2 * len(stage.blocks)
            yield tuple(layers[start:end])
            start = end

    def dimensions(self) -> dict[str, str]:
        """Width and depth of each stage."""
        found = {}
        for number, stage in enumerate(self.stages, 1):
            found[f"stage{number}.width"] = str(stage.width)
            found[f"stage{number}.depth"] = str(len(stage.blocks))
        return found

    def rest(self, task: Task) -> Rest:
        """The classifier; normalisation counts nothing."""
        width = self.stages[-1].width
        weights = width * task.classes
        return Rest("classifier", "linear", (width, task.classes), weights, weights)

    def cost(self, task: Task) -> Cost:
        """In closed form."""
        head = self.rest(task)
        params, macs = head.params + task.classes, head.macs
        for layer, size in self.convolutions(task.size):
            c_in = task.channels if layer.c_in is None else layer.c_in
            priced = price(layer.conv, c_in, layer.c_out, size, layer.stride)
            params += priced.params + 2 * layer.c_out  # BN's gamma and beta
            macs += priced.macs
        return Cost(params, macs, peak(self, task))

    def check(self, channels: int, classes: int) -> None:  # noqa: ARG002 - any number
        """Any images, of as many channels as the stem can take."""
        self.stem.check(channels, self.stages[0].width)

    def __str__(self) -> str:
        """A line a person can read: widths, then the choices of each stage."""
        return " | ".join(
            f"{stage.width}: " + " ".join(str(conv) for block in stage.blocks for conv in block)
            for stage in self.stages
        )

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """See `Architecture.read`."""
        if data.keys() != _FIELDS:
            raise InvalidArchitectureError(
                f"an architecture is a JSON object with the fields {', '.join(sorted(_FIELDS))}"
            )
        try:
            listed = _listed(data["stages"], "stages", _MAX_STAGES)
            stages = tuple(_read_stage(stage) for stage in listed)
            return cls(stages, stem=parse(_string(data["stem"])))
        except InvalidChoiceError as error:
            raise InvalidArchitectureError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _BlockSite:
    """A layer, with what begins beside it.

    Attributes:
        layer: the one that can be chosen.
        projection: the 1×1 convolution beside the block that begins here, if it needs one.
        weights: of the layer.
    """

    layer: Layer
    projection: Layer | None = None
    weights: int = 0


@lru_cache(maxsize=_CACHE_ENTRIES)
def _first(block: str, conv: Conv, c_in: int, c_out: int, stride: int) -> _BlockSite:
    """Where a block begins."""
    layer = _fitting(f"{block}.conv1", conv, c_in, c_out, stride)
    projection = None
    if stride > 1 or c_in != c_out:
        projection = Layer(f"{block}.shortcut", _PROJECTION, c_in, c_out, stride)
    return _BlockSite(layer, projection, conv.params(c_in, c_out))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _second(block: str, conv: Conv, width: int) -> _BlockSite:
    """Where a block ends."""
    return _BlockSite(
        _fitting(f"{block}.conv2", conv, width, width), None, conv.params(width, width)
    )


def _fitting(name: str, conv: Conv, c_in: int, c_out: int, stride: int = 1) -> Layer:
    """A layer whose choice fits its widths."""
    try:
        conv.check(c_in, c_out)
    except InvalidChoiceError as error:
        raise InvalidArchitectureError(f"{name}: {error}") from None
    return Layer(name, conv, c_in, c_out, stride)


def _read_stage(data: object) -> Stage:
    if not isinstance(data, dict) or data.keys() != {"width", "blocks"}:
        raise InvalidArchitectureError("a stage is a JSON object with the fields width and blocks")
    if not is_whole(data["width"]):
        raise InvalidArchitectureError("a stage's width must be a whole number")
    blocks = _listed(data["blocks"], "blocks", _MAX_BLOCKS)
    return Stage(data["width"], tuple(_read_block(block) for block in blocks))


def _read_block(data: object) -> Block:
    match _listed(data, "a block", 2):
        case [str(first), str(second)]:
            return parse(first), parse(second)
        case _:
            raise InvalidArchitectureError(
                "a block is a list of two convolutions like igc(L=4,M=16)"
            )


def _listed(data: object, what: str, most: int) -> list[object]:
    """A JSON list that is not so long that reading it would take its time."""
    if not isinstance(data, list) or len(data) > most:
        raise InvalidArchitectureError(f"{what} must be a JSON list of at most {most}")
    return data


def _string(data: object) -> str:
    if not isinstance(data, str):
        raise InvalidArchitectureError("a convolution must be a string like igc(L=4,M=16)")
    return data
