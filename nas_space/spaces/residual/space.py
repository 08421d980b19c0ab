"""The space of residual networks: what each stage may be, and a convolution for each layer."""

import contextlib
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self

from nas_space.convs import TYPES, Conv
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task
from nas_space.costs.operations import (
    ADD,
    AVERAGE_POOL,
    LINEAR,
    MAX_POOL,
    MEAN,
    RELU,
    SCALE,
    Operation,
    plain,
)
from nas_space.devices import Operators
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError, Layer
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import (
    POINTWISE,
    Place,
    hidden_width,
    known_operations,
    places,
)
from nas_space.spaces.residual.extremes import Counting, counting, extreme
from nas_space.spaces.residual.families import (
    COLLECTIONS,
    THUMBNAIL_SIDE_PIXELS,
    THUMBNAILS,
    Collection,
)
from nas_space.spaces.residual.stage import Stage
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.space import Labels, Measure, Parameter, Space, UnknownSpaceError

_WIDTHS = ((8, 16, 24, 32, 48, 64), (16, 32, 48, 64, 96, 128), (32, 64, 96, 128, 192, 256))
_DEPTHS = (1, 2, 3)

_SHARES_OF_MOVES = (0.6, 0.2, 0.2)
"""Of mutants: with other labels, with a stage of one type, wider or narrower everywhere."""
_SHARE_OF_WHOLE = 0.25
"""Of mutants with another type: in all stages."""
_SCALES = {"width", "expansion"}
"""What a stage chooses by steps that keep its layers."""
_UNRECORDED = {"operators"}
"""Fields that are limits of one search."""
_ANY_IMAGES = Task(3, (32, 32), 10)
"""For questions whose answer does not depend on the task."""
_ABSENT = "0"
"""The depth of a stage that a network does not have."""


@dataclass(frozen=True, slots=True)
class ResidualSpace(Space):
    """Residual networks whose layers choose among some types of convolution.

    A stage has a width, a depth (its number of blocks) and the choices of `Stage`; a layer has a
    type (``.conv``) and a level (``.setting``), which picks among the settings of that type that
    fit the layer's widths, from dense to sparse. Type and setting are separate parameters because
    samplers learn faster so (measured: docs/log.md). Parameters of blocks beyond a stage's depth
    have no effect. The first of several choices is the one that absent labels mean.

    Attributes:
        name: as users type it.
        kinds: the types of convolution that a layer may have.
        widths: for each stage, the widths it may have.
        depths: the numbers of blocks that a stage may have, ascending.
        stems: what may read the image, as `Stem` spells it.
        optional: whether the last stage may be absent: its depth is then 0.
        entries: how the first stage may halve the map, of `DOWNS`.
        downs: how later stages may.
        expansions: hidden channels of a block for one of its width. Less than one is a bottleneck:
            three convolutions, the first and the last of them 1×1. Its inside is narrower than its
            output by this factor, and the stage's width is that of the inside.
        pointwise: whether a regular convolution may be of one pixel, as its sparsest setting.
        heads: channels of the 1×1 convolution before the pool; 0 is none.
        most_hidden: where an expansion would give more channels, the block has none.
        by_hand_from: the collection of hand-designed families, of `families.COLLECTIONS`.
        operators: of the runtime that must compute each layer, see `on`; None is any. It is a
            limit of one search, and no part of what a study keeps.
    """

    measures: ClassVar[tuple[Measure, ...]] = ("macs", "params", "activation_memory")

    name: str
    kinds: tuple[str, ...]
    widths: tuple[tuple[int, ...], ...] = _WIDTHS
    depths: tuple[int, ...] = _DEPTHS
    entries: tuple[str, ...] = ("none",)
    downs: tuple[str, ...] = ("strided",)
    expansions: tuple[float, ...] = (1.0,)
    pointwise: bool = False
    optional: bool = False
    stems: tuple[str, ...] = (str(Stem()),)
    heads: tuple[int, ...] = (0,)
    most_hidden: int | None = None
    by_hand_from: str = THUMBNAILS
    operators: Operators | None = None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What a sampler chooses; parameters with a single label are left out."""
        return _parameters(self)

    def decode(self, labels: Labels) -> ResidualArchitecture:
        """The architecture that these labels mean; absent ones mean their first label."""
        chosen = {name: labels.get(name, ls[0]) for name, ls in _dimensions(self).items()}
        c_in = int(chosen["stage1.width"])
        stages, levels = [], self._levels
        for s in self._stages:
            name = f"stage{s}"
            if chosen[f"{name}.depth"] == _ABSENT:
                continue
            narrow, expansion = int(chosen[f"{name}.width"]), float(chosen[f"{name}.expansion"])
            width, hidden = self._shape(narrow, expansion)
            blocks = []
            for b in range(1, int(chosen[f"{name}.depth"]) + 1):
                found = enumerate(places(c_in, hidden, width), 1)
                convs = (
                    self._choice(labels, f"{name}.block{b}.conv{c}", place, levels)
                    for c, place in found
                )
                blocks.append(tuple(convs))
                c_in = width
            stages.append(Stage(width, tuple(blocks), chosen[f"{name}.down"], hidden))
        head = int(chosen["head"]) or None
        return ResidualArchitecture(tuple(stages), Stem.read(chosen["stem"]), head)

    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it.

        Labels without effect are drawn at random, seeded by the architecture's key, so that a
        sampler that learns from them sees no pattern there.
        """
        if not isinstance(architecture, ResidualArchitecture):
            return None
        chance = random.Random(architecture.key)
        labels = {p.name: chance.choice(p.labels) for p in self.parameters}
        labels |= {f"stage{len(self.widths)}.depth": _ABSENT} | architecture.dimensions()
        for layer, place in _placed(architecture):
            offers = {kind: self.settings(kind, place) for kind in self.kinds}
            kind = next((kind for kind, fitting in offers.items() if layer.conv in fitting), None)
            if kind is None:
                return None
            position = offers[kind].index(layer.conv)
            level = math.ceil(position * self._levels / len(offers[kind])) + 1
            labels[layer.name] = kind
            labels[f"{layer.name}.setting"] = str(level)
        allowed = {p.name: p.labels for p in self.parameters}
        labels = {name: label for name, label in labels.items() if name in allowed}
        inside = all(label in allowed[name] for name, label in labels.items())
        return labels if inside and self.decode(labels) == architecture else None

    def mutated(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """See `Space.mutated`: some labels that have an effect, a stage's types, or all widths."""
        (move,) = chance.choices(
            (self._relabelled, self._retyped, self._rescaled), _SHARES_OF_MOVES
        )
        return move(labels, chance)

    def uniform(self) -> Iterator[ResidualArchitecture]:
        """Networks of one type everywhere, at every width that stages have in common.

        Depth and setting are the middle ones. Types and widths alternate, so that the first few
        are spread over both.
        """
        positions = min(map(len, self.widths))
        depth = self.depths[len(self.depths) // 2]
        # With 6 widths: 0, 3, 1, 4, 2, 5 further than the type's number.
        half = (positions + 1) // 2
        shifts = sorted(range(positions), key=lambda shift: (shift % half, shift))
        for shift in shifts:
            for number, kind in enumerate(self.kinds):
                at = (number + shift) % positions
                yield self.decode(self._alike(at, depth, self._usual_expansion, (kind, kind)))

    def inverted(self) -> Iterator[ResidualArchitecture]:
        """See `Space.inverted`: a block a stage, the middle expansion and setting, all widths.

        First with all stages, then without the last, if it may be absent.
        """
        if not self.pointwise or Regular.kind not in self.kinds or max(self.expansions) <= 1:
            return
        expansion, last = self.expansions[len(self.expansions) // 2], f"stage{len(self.widths)}"
        positions = range(min(map(len, self.widths)))
        for left in ({}, {f"{last}.depth": _ABSENT}) if self.optional else ({},):
            for kind, at in itertools.product(self.kinds, positions):
                for pair in ((kind, None), (None, kind)):
                    yield self.decode(self._alike(at, self.depths[0], expansion, pair) | left)

    def _alike(
        self, position: int, depth: int, expansion: float, pair: tuple[str | None, str | None]
    ) -> dict[str, str]:
        """Labels of a network whose stages and blocks are alike.

        Args:
            position: of the width among those of a stage.
            depth: blocks a stage.
            expansion: hidden channels for one of the width.
            pair: the types of a block's convolutions, at the middle level; None is 1×1.
        """
        middle, sparsest = str((self._levels + 1) // 2), str(self._levels)
        own = (kind for kind in pair if kind in self.stems)
        labels = {"stem": next(own, self.stems[0])}
        for s, widths in enumerate(self.widths, 1):
            labels[f"stage{s}.width"] = str(widths[position])
            labels[f"stage{s}.depth"] = str(depth)
            labels[f"stage{s}.expansion"] = f"{expansion:g}"
            for place in self.places(s):
                kind = pair[0] if place.endswith("conv1") else pair[1]
                labels[place] = kind or Regular.kind
                labels[f"{place}.setting"] = middle if kind else sparsest
        return labels

    def by_hand(self) -> Iterator[ResidualArchitecture]:
        """See `Space.by_hand`: every family at every width that its types serve."""
        for family, width in self._collection.every():
            with contextlib.suppress(InvalidArchitectureError):
                found = ResidualArchitecture.of(family, width)
                if self.operators is None or not self.operators.obstacles(
                    found.operations(_ANY_IMAGES)
                ):
                    yield found

    def on(self, operators: Operators, channels: int) -> Self:
        """The part of the space that a runtime with these operators can compute.

        Types that have no setting for it anywhere go, and so do stems and ways to halve a map. A
        layer of whose type no setting is left is regular, as where widths fit none.

        Args:
            operators: of the runtime.
            channels: of the images.

        Raises:
            UnknownSpaceError: nothing is left.
            InvalidChoiceError: a plugin's type says no operations.
        """
        if operators == Operators():
            return self
        found = replace(
            self,
            kinds=tuple(kind for kind in self.kinds if _serves(self, kind, operators)),
            stems=tuple(stem for stem in self.stems if _reads(self, stem, operators, channels)),
            entries=tuple(down for down in self.entries if _halves(down, operators)),
            downs=tuple(down for down in self.downs if _halves(down, operators)),
            operators=operators,
        )
        always = (*Regular().operations(1, 1), *plain(SCALE, ADD, RELU, MEAN, LINEAR))
        obstacles = operators.obstacles(always)
        if not found.kinds:
            obstacles = operators.obstacles(_of_kinds(self)) or obstacles
        if obstacles or not (found.kinds and found.stems and found.entries and found.downs):
            lacks = ", ".join(obstacles) or f"no {AVERAGE_POOL}"
            raise UnknownSpaceError(
                f"no network of the space {self.name} runs there: the runtime has {lacks}"
            )
        return found

    @property
    def sections(self) -> int:
        """See `Space.sections`."""
        return len(self.widths)

    def reference(self) -> ResidualArchitecture:
        """See `families.Collection.reference`."""
        return ResidualArchitecture.of(*self._collection.reference)

    def remark(self, task: Task) -> str | None:
        """See `Space.remark`: the networks of thumbnails begin at full resolution."""
        side = min(task.size)
        if self.by_hand_from != THUMBNAILS or side <= THUMBNAIL_SIDE_PIXELS:
            return None
        return (
            f"{self.name} is for images of up to {THUMBNAIL_SIDE_PIXELS} pixels; for these of "
            f"{side}, try --space photo"
        )

    @property
    def _collection(self) -> Collection:
        """The hand-designed families.

        Raises:
            UnknownSpaceError: this version does not have them.
        """
        if self.by_hand_from not in COLLECTIONS:
            raise UnknownSpaceError(
                f"the space {self.name} has hand-designed networks {self.by_hand_from!r}, which "
                "this version does not know: update convnas"
            )
        return COLLECTIONS[self.by_hand_from]

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each dimension and each layer's convolution may take."""
        found = dict(_dimensions(self))
        for s in self._stages:
            for name in self.places(s):
                found[name] = _labels(self, s, int(name[-1]), entering=".block1." in name)
        return found

    def size(self) -> int:
        """How many different architectures the space holds."""
        ways: Counter[int] = Counter()
        for narrow in self.widths[0]:
            for width, hidden in self.shapes(narrow):
                ways[width] += self._count(narrow, width, hidden) * len(self.entries)
        shorter = 0
        for widths in self.widths[1:]:
            shorter = ways.total() * self.optional
            before, ways = ways, Counter()
            for width, hidden in itertools.chain.from_iterable(map(self.shapes, widths)):
                entered = (n * self._count(c_in, width, hidden) for c_in, n in before.items())
                ways[width] += sum(entered) * len(self.downs)
        return (shorter + ways.total()) * len(self.stems) * len(self.heads)

    def to_json(self) -> dict[str, Any]:
        """Name, types, widths and depths, and every other choice that is not as usual."""
        always = ("name", "kinds", "widths", "depths")
        return {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)
            if field.name not in _UNRECORDED
            if field.name in always or getattr(self, field.name) != field.default
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_json`.

        Raises:
            UnknownSpaceError: this version does not have such a space.
        """
        if not data.keys() >= {"name", "kinds"}:
            raise UnknownSpaceError(f"no space has only the fields {', '.join(data)}")
        unknown = [
            *sorted(data.keys() - ({field.name for field in fields(cls)} - _UNRECORDED)),
            *(kind for kind in data["kinds"] if kind not in TYPES),
        ]
        if unknown:
            raise UnknownSpaceError(
                f"the space {data['name']} has {unknown[0]}, which this version does not know: "
                "update convnas, or install the package that brings it"
            )
        return cls(**{name: _frozen(value) for name, value in data.items()})

    def smallest(self, task: Task, measure: Measure = "macs") -> ResidualArchitecture:
        """The architecture of fewest MACs, parameters, or bytes of activations at its peak."""
        return _ends(self, task, measure)[0]

    def largest(self, task: Task, measure: Measure = "macs") -> ResidualArchitecture:
        """The architecture of most MACs, parameters, or bytes of activations at its peak."""
        return _ends(self, task, measure)[1]

    def least(self, task: Task, counted: Counting) -> ResidualArchitecture:
        """The architecture of least cost, exactly."""
        return extreme(self, task, counted, min, self.depths[0])

    def most(self, task: Task, counted: Counting) -> ResidualArchitecture:
        """The architecture of most cost, exactly."""
        return extreme(self, task, counted, max, self.depths[-1])

    def choices(self, place: Place) -> tuple[Conv, ...]:
        """Every convolution that a layer in such a place may be."""
        return _choices(self, place)

    @property
    def _stages(self) -> range:
        """The numbers of the stages."""
        return range(1, len(self.widths) + 1)

    def places(self, stage: int) -> list[str]:
        """The names of the layers that a stage may have; stages count from 1."""
        blocks, convs = range(1, self.depths[-1] + 1), (1, 2, 3) if self._bottlenecks else (1, 2)
        return [f"stage{stage}.block{b}.conv{c}" for b, c in itertools.product(blocks, convs)]

    def _relabelled(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """A few other labels, none of a block that the network does not have."""
        present = set(_dimensions(self)) | {layer.name for layer in self.decode(labels).layers()}
        parameters = [p for p in self.parameters if p.name.removesuffix(".setting") in present]
        changed = dict(labels)
        for parameter in chance.sample(parameters, min(chance.randint(1, 4), len(parameters))):
            before = labels.get(parameter.name, parameter.labels[0])
            changed[parameter.name] = parameter.another(before, chance)
        return changed

    def _retyped(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """One type and setting in one place of all blocks, of a stage or of all stages."""
        stages = (
            self._stages if chance.random() < _SHARE_OF_WHOLE else [chance.choice(self._stages)]
        )
        kind, level = chance.choice(self.kinds), str(chance.randint(1, self._levels))
        ending = chance.choice(("conv1", "conv2", *(["conv3"] * self._bottlenecks), ""))
        changed = dict(labels)
        for place in itertools.chain.from_iterable(map(self.places, stages)):
            if place.endswith(ending):
                changed |= {place: kind, f"{place}.setting": level}
        return {name: label for name, label in changed.items() if name in labels}

    def _rescaled(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """All widths a step or two up or down."""
        step = chance.choice((-2, -1, 1, 2))
        changed = dict(labels)
        for s, widths in enumerate(self.widths, 1):
            name = f"stage{s}.width"
            if name in changed:
                at = widths.index(int(changed[name])) + step
                changed[name] = str(widths[min(max(at, 0), len(widths) - 1)])
        return changed

    def downs_of(self, position: int) -> tuple[str, ...]:
        """How a stage may halve the map; positions count from 0."""
        return self.downs if position else self.entries

    def shapes(self, narrow: int) -> list[tuple[int, int]]:
        """Channels of the output and of the inside of blocks of a width, each once."""
        return list(dict.fromkeys(self._shape(narrow, ratio) for ratio in self.expansions))

    def _shape(self, narrow: int, expansion: float) -> tuple[int, int]:
        if expansion < 1:
            return hidden_width(narrow, 1 / expansion), narrow
        hidden = hidden_width(narrow, expansion)
        return narrow, hidden if hidden <= (self.most_hidden or hidden) else narrow

    def settings(self, kind: str, place: Place) -> tuple[Conv, ...]:
        """The settings of a type in such a place, those of most weights first."""
        pointwise = place.pointwise, self.pointwise
        return _settings(kind, place.c_in, place.c_out, pointwise, self.operators)

    def _count(self, c_in: int, width: int, hidden: int) -> int:
        """How many different stages have blocks of one shape and read a map of `c_in` channels."""

        def ways(c_in: int) -> int:
            return math.prod(len(self.choices(place)) for place in places(c_in, hidden, width))

        return sum(ways(c_in) * ways(width) ** (depth - 1) for depth in self.depths)

    @property
    def _bottlenecks(self) -> bool:
        return min(self.expansions) < 1

    @property
    def _usual_expansion(self) -> float:
        return next((ratio for ratio in self.expansions if ratio >= 1), self.expansions[0])

    @property
    def _levels(self) -> int:
        return _most_settings(self)

    def _choice(self, labels: Labels, name: str, place: Place, levels: int) -> Conv:
        fitting = self.settings(labels.get(name, self.kinds[0]), place)
        level = int(labels.get(f"{name}.setting", "1")) - 1
        return fitting[level * len(fitting) // levels]


_Blocks = frozenset[tuple[Place, ...]]
"""The places of blocks."""


@cache
def _dimensions(space: ResidualSpace) -> Mapping[str, tuple[str, ...]]:
    """What can be chosen beside convolutions, as `ResidualArchitecture.dimensions` spells it."""
    found: dict[str, tuple[str, ...]] = {"stem": space.stems, "head": tuple(map(str, space.heads))}
    for s, widths in enumerate(space.widths, 1):
        found[f"stage{s}.width"] = tuple(map(str, widths))
        absent = (_ABSENT,) * (space.optional and s == len(space.widths))
        found[f"stage{s}.depth"] = (*absent, *map(str, space.depths))
        found[f"stage{s}.down"] = space.downs_of(s - 1)
        found[f"stage{s}.expansion"] = tuple(f"{ratio:g}" for ratio in space.expansions)
    return MappingProxyType(found)


@cache
def _parameters(space: ResidualSpace) -> tuple[Parameter, ...]:
    found = [
        Parameter(name, labels, widens=name.partition(".")[2] in _SCALES)
        for name, labels in _dimensions(space).items()
    ]
    levels = tuple(str(level) for level in range(1, _most_settings(space) + 1))
    for s in range(1, len(space.widths) + 1):
        for place in space.places(s):
            found.append(Parameter(place, space.kinds))
            found.append(Parameter(f"{place}.setting", levels, ordered=True))
    return tuple(parameter for parameter in found if len(parameter.labels) > 1)


@cache
def _settings(
    kind: str,
    c_in: int,
    c_out: int,
    pointwise: tuple[bool, bool],
    operators: Operators | None = None,
) -> tuple[Conv, ...]:
    """See `ResidualSpace.settings`; pointwise: all of them, the sparsest regular one."""
    # A type that cannot serve these widths at all leaves the layer regular.
    found, fallback = _own_settings(kind, c_in, c_out, pointwise)
    if operators is not None:
        found = tuple(conv for conv in found if _runs(conv, c_in, c_out, operators))
    return found or fallback


def _own_settings(
    kind: str, c_in: int, c_out: int, pointwise: tuple[bool, bool]
) -> tuple[tuple[Conv, ...], tuple[Conv, ...]]:
    """The settings of a type, and what stands where there are none."""
    all_are, one_is = pointwise
    if all_are:
        return TYPES.get(kind).pointwise_settings(c_in, c_out), (POINTWISE,)
    found: tuple[Conv, ...] = TYPES.get(kind).settings(c_in, c_out)
    return (
        (*found, POINTWISE) if one_is and kind == Regular.kind else found,
        Regular.settings(c_in, c_out),
    )


def _runs(conv: Conv, c_in: int, c_out: int, operators: Operators) -> bool:
    """Whether a runtime computes a layer, with a stride or without."""
    found = (known_operations(conv, c_in, c_out, stride) for stride in (1, 2))
    return not operators.obstacles(itertools.chain.from_iterable(found))


def _offers(space: ResidualSpace, kind: str) -> Iterator[tuple[Conv, Place]]:
    """Every setting of a type in every place of a space, where it has any of its own."""
    blocks = itertools.chain.from_iterable(itertools.chain(*_stage_places(space)))
    for place in dict.fromkeys(itertools.chain.from_iterable(blocks)):
        found, _ = _own_settings(kind, place.c_in, place.c_out, (place.pointwise, space.pointwise))
        yield from ((conv, place) for conv in found)


@cache
def _serves(space: ResidualSpace, kind: str, operators: Operators) -> bool:
    """Whether a runtime computes any setting of a type in any place."""
    return any(
        _runs(conv, place.c_in, place.c_out, operators) for conv, place in _offers(space, kind)
    )


def _of_kinds(space: ResidualSpace) -> Iterator[Operation]:
    """The operations of all settings of all types."""
    for kind in space.kinds:
        for conv, place in _offers(space, kind):
            yield from known_operations(conv, place.c_in, place.c_out, 1)


def _reads(space: ResidualSpace, text: str, operators: Operators, channels: int) -> bool:
    """Whether a runtime computes a stem at all widths."""
    stem = Stem.read(text)
    pools = operators.obstacles(plain(MAX_POOL)) if stem.pooled else ()
    return not pools and all(
        _runs(stem.conv, channels, width, operators) for width in space.widths[0]
    )


def _halves(down: str, operators: Operators) -> bool:
    """Whether a runtime halves maps in one of the ways of stages."""
    return down != "pooled" or not operators.obstacles(plain(AVERAGE_POOL))


@cache
def _choices(space: ResidualSpace, place: Place) -> tuple[Conv, ...]:
    found = (conv for kind in space.kinds for conv in space.settings(kind, place))
    return tuple(dict.fromkeys(found))


def _placed(architecture: ResidualArchitecture) -> Iterator[tuple[Layer, Place]]:
    """The layers of blocks, with their places if the blocks are of a space."""
    for block in architecture.blocks():
        first, *_ = block.layers
        assert first.c_in is not None  # noqa: S101 - only the stem's is open
        # A block of another form has fewer or more layers: `encode` sees that it is none of ours.
        yield from zip(block.layers, places(first.c_in, block.hidden, block.width), strict=False)


@cache
def _stage_places(space: ResidualSpace) -> tuple[tuple[_Blocks, _Blocks], ...]:
    """For each stage the places of blocks that enter it, and of those behind."""
    found = []
    before: list[int] = []
    for widths in space.widths:
        shapes = [(narrow, *shape) for narrow in widths for shape in space.shapes(narrow)]
        # A stage is entered at another width, but for the first, which the stem enters.
        entering = {
            places(c_in, hidden, width)
            for narrow, width, hidden in shapes
            for c_in in (before or [narrow])
        }
        inside = {places(width, hidden, width) for _, width, hidden in shapes}
        found.append((frozenset(entering), frozenset(inside)))
        before = [width for _, width, _ in shapes]
    return tuple(found)


@cache
def _most_settings(space: ResidualSpace) -> int:
    """The most settings that any type offers any layer of the space."""
    found: set[Place] = set()
    for entering, inside in _stage_places(space):
        found.update(*entering, *inside)
    return max(len(space.settings(kind, place)) for kind in space.kinds for place in found)


@cache
def _ends(
    space: ResidualSpace, task: Task, measure: Measure
) -> tuple[ResidualArchitecture, ResidualArchitecture]:
    """The networks of least and of most cost: a second's work."""
    counted = counting(task, measure)
    return space.least(task, counted), space.most(task, counted)


@cache
def _labels(space: ResidualSpace, stage: int, conv: int, *, entering: bool) -> tuple[str, ...]:
    """Every convolution that may be the first, second or third of a stage's blocks."""
    blocks = _stage_places(space)[stage - 1][not entering]
    here = {block[conv - 1] for block in blocks if conv <= len(block)}
    return tuple(sorted({str(conv) for place in here for conv in space.choices(place)}))


def _plain(value: object) -> object:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _frozen(value: object) -> Any:  # noqa: ANN401 - of JSON
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
