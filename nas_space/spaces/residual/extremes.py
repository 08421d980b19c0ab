"""The cheapest and the dearest network of a space, exactly.

The best network up to a stage is, for each width and size of its map, the best beginning of any
network that has more stages: so stages are chosen one after the other.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.cost import Task, predict
from nas_space.spaces.residual import memory
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import BlockLayers, Place, block_of, places
from nas_space.spaces.residual.stage import Stage, behind, entered
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.space import ChoiceCost, Measure


class Choices(Protocol):
    """What of a space decides what its networks cost; see `ResidualSpace`."""

    @property
    def widths(self) -> tuple[tuple[int, ...], ...]:
        """For each stage, the widths it may have."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What may read the image."""

    @property
    def heads(self) -> tuple[int, ...]:
        """Channels before the pool."""

    @property
    def optional(self) -> bool:
        """Whether the last stage may be absent."""

    def downs_of(self, position: int) -> tuple[str, ...]:
        """How a stage may halve the map; positions count from 0."""

    def shapes(self, narrow: int) -> list[tuple[int, int]]:
        """Channels of the output and of the inside of blocks of a width."""

    def choices(self, place: Place) -> tuple[Conv, ...]:
        """Every convolution that a layer in such a place may be."""


@dataclass(frozen=True, slots=True)
class Counting:
    """How a cost of a network follows from those of its parts.

    Attributes:
        layer: what a choice adds; never less where a block's cost is less.
        stem: the cost of a stem of some width.
        block: the cost of a block, for maps of some size.
        together: the cost of two parts, from theirs: the sum, or the maximum.
        total: the cost of a network.
    """

    layer: ChoiceCost
    stem: Callable[[Stem, int], float]
    block: Callable[[BlockLayers, Size], float]
    together: Callable[[float, float], float]
    total: Callable[[ResidualArchitecture], float]


def added(a: float, b: float) -> float:
    """The sum, see `Counting.together`."""
    return a + b


def counting(task: Task, measure: Measure) -> Counting:
    """How MACs, parameters, or bytes of activations at their peak are counted."""
    layer = _LAYER_COSTS[measure]

    def total(architecture: ResidualArchitecture) -> float:
        return float(getattr(predict(architecture, task), measure))

    if measure == "activation_memory":
        return Counting(
            layer,
            lambda stem, width: memory.of_stem(stem, width, task),
            memory.of_block,
            max,
            total,
        )
    return summed(task, layer, total)


def summed(
    task: Task, layer: ChoiceCost, total: Callable[[ResidualArchitecture], float]
) -> Counting:
    """How a cost is counted that layers add up to.

    Args:
        task: what networks are for.
        layer: what a choice adds.
        total: the cost of a network.
    """
    image, read = task.size, task.channels

    def block(block: BlockLayers, size: Size) -> float:
        found = (
            layer(at.conv, at.c_in or read, at.c_out, here, at.stride)
            for at, here in block.placed(size)
        )
        return sum(found)

    def stem(stem: Stem, width: int) -> float:
        return layer(stem.conv, read, width, image, stem.stride)

    return Counting(layer, stem, block, added, total)


_LAYER_COSTS: Mapping[Measure, ChoiceCost] = {
    "macs": lambda conv, c_in, c_out, size, stride: conv.macs(c_in, c_out, size, stride),
    # Normalisation behind each convolution has a gamma and a beta for each channel.
    "params": lambda conv, c_in, c_out, _size, _stride: conv.params(c_in, c_out) + 2 * c_out,
    "activation_memory": lambda conv, c_in, c_out, size, stride: conv.peak_activations(
        c_in, c_out, size, stride
    ),
}


@dataclass(frozen=True, slots=True)
class _Begun:
    """The beginning of a network.

    Attributes:
        cost: of it.
        stages: so far.
        width: channels of its map.
        size: of its map.
        stem: what reads the image.
    """

    cost: float
    stages: tuple[Stage, ...]
    width: int
    size: Size
    stem: Stem


def extreme(
    space: Choices, task: Task, counted: Counting, best: Callable[..., Any], depth: int
) -> ResidualArchitecture:
    """The architecture of least or most cost.

    Args:
        space: of which.
        task: what it is for.
        counted: the cost. It must never be less where a block's is more, nor with more blocks.
        best: `min` or `max`.
        depth: blocks of a stage: the fewest for the least cost, the most for the most.
    """
    stages = _Stages(space, counted, best, depth)
    begun = [
        _Begun(counted.stem(stem, width), (), width, stem.behind(task.size), stem)
        for stem, width in itertools.product(map(Stem.read, space.stems), space.widths[0])
    ]
    shorter: list[_Begun] = []
    for number in range(len(space.widths)):
        kept: dict[tuple[int, Size], _Begun] = {}
        for longer in itertools.chain.from_iterable(stages.added(one, number) for one in begun):
            key = longer.width, longer.size
            kept[key] = best(kept.get(key, longer), longer, key=lambda end: end.cost)
        shorter, begun = begun, list(kept.values())
    ends = [*begun, *(shorter if space.optional else ())]
    whole = (
        ResidualArchitecture(end.stages, end.stem, head or None)
        for end, head in itertools.product(ends, space.heads)
    )
    found: ResidualArchitecture = best(whole, key=counted.total)
    return found


class _Stages:
    """The best stages of a space, see `extreme`."""

    def __init__(
        self, space: Choices, counted: Counting, best: Callable[..., Any], depth: int
    ) -> None:
        self._space, self._counted, self._depth = space, counted, depth

        @cache
        def conv(place: Place, size: Size, stride: int) -> Conv:
            widths = place.c_in, place.c_out
            found: Conv = best(
                space.choices(place), key=lambda conv: counted.layer(conv, *widths, size, stride)
            )
            return found

        @cache
        def block(
            c_in: int, shape: tuple[int, int], size: Size, down: str
        ) -> tuple[tuple[Conv, ...], float]:
            (before, stride), after = entered(size, down), behind(size, down)
            width, hidden = shape
            convs = tuple(
                conv(place, after if place.late else before, stride if place.strides else 1)
                for place in places(c_in, hidden, width)
            )
            layers = block_of("block", convs, c_in, (hidden, width), down)
            return convs, counted.block(layers, size)

        self._block = block

    def added(self, begun: _Begun, number: int) -> Iterator[_Begun]:
        """A beginning with one more stage, in every way; stages count from 0."""
        # The stem is as wide as the first stage.
        widths = self._space.widths[number] if number else (begun.width,)
        together = self._counted.together
        for narrow, down in itertools.product(widths, self._space.downs_of(number)):
            size = behind(begun.size, down)
            for shape in self._space.shapes(narrow):
                width, hidden = shape
                entering, cost = self._block(begun.width, shape, begun.size, down)
                cost = together(begun.cost, cost)
                inner, more = self._block(width, shape, size, "none")
                for _ in range(self._depth - 1):
                    cost = together(cost, more)
                stage = Stage(width, (entering, *([inner] * (self._depth - 1))), down, hidden)
                yield _Begun(cost, (*begun.stages, stage), width, size, begun.stem)
