"""The space of residual networks: what each stage may be, and a convolution for each layer."""

import contextlib
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self

from nas_space.convs import TYPES, Conv
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.residual.blocks import POINTWISE, hidden_width
from nas_space.spaces.residual.families import FAMILIES, WIDTHS
from nas_space.spaces.residual.stage import Stage, behind, entered
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.space import ChoiceCost, Labels, Measure, Parameter, Space, UnknownSpaceError

_WIDTHS = ((8, 16, 24, 32, 48, 64), (16, 32, 48, 64, 96, 128), (32, 64, 96, 128, 192, 256))
_DEPTHS = (1, 2, 3)

_SHARES_OF_MOVES = (0.6, 0.2, 0.2)
"""Of mutants: with other labels, with a stage of one type, wider or narrower everywhere."""
_SHARE_OF_WHOLE = 0.25
"""Of mutants with another type: in all stages."""
_SCALES = {"width", "expansion"}
"""What a stage chooses by steps that keep its layers."""
_ABSENT = "0"
"""The depth of a stage that a network does not have."""

Total = Callable[[ResidualArchitecture], float]
"""What a network costs."""


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
        expansions: hidden channels of a block for one of its width.
        pointwise: whether a regular convolution may be of one pixel, as its sparsest setting.
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
            width = int(chosen[f"{name}.width"])
            hidden = hidden_width(width, float(chosen[f"{name}.expansion"]))
            blocks = []
            for b in range(1, int(chosen[f"{name}.depth"]) + 1):
                place = f"{name}.block{b}"
                first = self._choice(labels, f"{place}.conv1", c_in, hidden, levels)
                second = self._choice(labels, f"{place}.conv2", hidden, width, levels)
                blocks.append((first, second))
                c_in = width
            stages.append(Stage(width, tuple(blocks), chosen[f"{name}.down"], hidden))
        return ResidualArchitecture(tuple(stages), Stem.read(chosen["stem"]))

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
        for layer in architecture.layers():
            if layer.c_in is None:
                continue
            offers = {kind: self.settings(kind, layer.c_in, layer.c_out) for kind in self.kinds}
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
                yield self.decode(self._alike(at, depth, self.expansions[0], (kind, kind)))

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
            for place, kind in zip(self.places(s), itertools.cycle(pair), strict=False):
                labels[place] = kind or Regular.kind
                labels[f"{place}.setting"] = middle if kind else sparsest
        return labels

    def by_hand(self) -> Iterator[ResidualArchitecture]:
        """See `Space.by_hand`: every family at every width that its types serve."""
        for family, width in itertools.product(FAMILIES, WIDTHS):
            with contextlib.suppress(InvalidArchitectureError):
                yield ResidualArchitecture(family.stages(width))

    @property
    def sections(self) -> int:
        """See `Space.sections`."""
        return len(self.widths)

    def reference(self) -> ResidualArchitecture:
        """ResNet-20 of width 16, with pooled downsampling."""
        return ResidualArchitecture(FAMILIES[-1].stages(16))

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each dimension and each layer's convolution may take."""
        found = dict(_dimensions(self))
        before: set[int] = set()
        for s, widths in enumerate(self.widths, 1):
            inner = {hidden for w in widths for hidden in self.hidden(w)}
            pairs = [(w, hidden) for w in widths for hidden in self.hidden(w)]
            # A stage is entered at another width, but for the first, which the stem enters.
            entering = _labels(self, itertools.product(before, inner) if before else pairs)
            first, second = _labels(self, pairs), _labels(self, [(h, w) for w, h in pairs])
            for place in self.places(s):
                if place.endswith("conv2"):
                    found[place] = second
                else:
                    found[place] = entering if place.endswith("block1.conv1") else first
            before = set(widths)
        return found

    def size(self) -> int:
        """How many different architectures the space holds."""
        ways = {width: self._count(width, width, self.entries) for width in self.widths[0]}
        shorter = 0
        for widths in self.widths[1:]:
            shorter = sum(ways.values()) * self.optional
            ways = {
                width: sum(n * self._count(c_in, width, self.downs) for c_in, n in ways.items())
                for width in widths
            }
        return (shorter + sum(ways.values())) * len(self.stems)

    def to_json(self) -> dict[str, Any]:
        """Name, types, widths and depths, and every other choice that is not as usual."""
        always = ("name", "kinds", "widths", "depths")
        return {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)
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
            *sorted(data.keys() - {field.name for field in fields(cls)}),
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

    def least(
        self, task: Task, layer: ChoiceCost, total: Total, partial: Total | None = None
    ) -> ResidualArchitecture:
        """The architecture of least total, exactly.

        Args:
            task: what it is for.
            layer: what a choice adds to the total.
            total: never less where a layer costs more, widths being equal, nor with more blocks;
                as a sum over layers is, or a maximum.
            partial: the total of a network's first stages, where `total` does not say it.
        """
        return min(self._best(task, layer, self.depths[0], partial or total), key=total)

    def most(
        self, task: Task, layer: ChoiceCost, total: Total, partial: Total | None = None
    ) -> ResidualArchitecture:
        """The architecture of most total, exactly; see `least`."""
        counted = partial or total
        found = self._best(
            task, lambda *place: -layer(*place), self.depths[-1], lambda a: -counted(a)
        )
        return max(found, key=total)

    def choices(self, c_in: int, c_out: int) -> tuple[Conv, ...]:
        """Every convolution that a layer of these widths may be."""
        found = (conv for kind in self.kinds for conv in self.settings(kind, c_in, c_out))
        return tuple(dict.fromkeys(found))

    @property
    def _stages(self) -> range:
        """The numbers of the stages."""
        return range(1, len(self.widths) + 1)

    def places(self, stage: int) -> list[str]:
        """The names of the layers that a stage may have; stages count from 1."""
        blocks = range(1, self.depths[-1] + 1)
        return [f"stage{stage}.block{b}.conv{c}" for b, c in itertools.product(blocks, (1, 2))]

    def _relabelled(self, labels: Labels, chance: random.Random) -> dict[str, str]:
        """A few other labels, none of a block that the network does not have."""
        present = set(_dimensions(self))
        for s in self._stages:
            depth = int(labels.get(f"stage{s}.depth", self.depths[0]))
            present |= set(self.places(s)[: 2 * depth])
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
        ending = chance.choice(("conv1", "conv2", ""))
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

    def hidden(self, width: int) -> list[int]:
        """The hidden widths of a block, each once."""
        return list(dict.fromkeys(hidden_width(width, ratio) for ratio in self.expansions))

    def settings(self, kind: str, c_in: int, c_out: int) -> tuple[Conv, ...]:
        """The settings of a type at these widths, those of most weights first."""
        return _settings(kind, c_in, c_out, pointwise=self.pointwise)

    def _count(self, c_in: int, width: int, downs: tuple[str, ...]) -> int:
        """How many different stages lead from a width to another."""
        total = 0
        for hidden in self.hidden(width):
            entering = len(self.choices(c_in, hidden))
            first, second = len(self.choices(width, hidden)), len(self.choices(hidden, width))
            # A stage of depth d has one entering convolution, d - 1 other first and d second ones.
            total += sum(entering * first ** (depth - 1) * second**depth for depth in self.depths)
        return total * len(downs)

    @property
    def _levels(self) -> int:
        return _most_settings(self)

    def _choice(self, labels: Labels, place: str, c_in: int, c_out: int, levels: int) -> Conv:
        fitting = self.settings(labels.get(place, self.kinds[0]), c_in, c_out)
        level = int(labels.get(f"{place}.setting", "1")) - 1
        return fitting[level * len(fitting) // levels]

    def _best(
        self, task: Task, layer: ChoiceCost, depth: int, partial: Total
    ) -> Iterator[ResidualArchitecture]:
        """For each last width and size of its map, the architecture that costs least.

        The best network up to a stage is, for each width and size of its map, the best beginning
        of any network that goes on from there: so stages are chosen one after the other.
        """

        @cache
        def best(c_in: int, c_out: int, size: Size, stride: int) -> Conv:
            choices = self.choices(c_in, c_out)
            return min(choices, key=lambda conv: layer(conv, c_in, c_out, size, stride))

        shorter: _Begun = {}
        begun: _Begun = {}
        for stem, w in itertools.product(map(Stem.read, self.stems), self.widths[0]):
            size = out_size(task.size, stem.stride)
            begun[w, size, stem] = (0.0, (), w, size, stem)
        for s, widths in enumerate(self.widths):
            longer: _Begun = {}
            for (_, stages, c_in, size, stem), width in itertools.product(begun.values(), widths):
                if not stages and width != c_in:  # the stem is as wide as the first stage
                    continue
                for down, hidden in itertools.product(self.downs_of(s), self.hidden(width)):
                    (before, stride), after = entered(size, down), behind(size, down)
                    entering = best(c_in, hidden, before, stride)
                    first, second = best(width, hidden, after, 1), best(hidden, width, after, 1)
                    blocks = ((entering, second), *([(first, second)] * (depth - 1)))
                    found = (*stages, Stage(width, blocks, down, hidden))
                    value = partial(ResidualArchitecture(found, stem))
                    kept = longer.get((width, after, None))
                    if kept is None or value < kept[0]:
                        longer[width, after, None] = (value, found, width, after, stem)
            begun, shorter = longer, begun
        for _, stages, _, _, stem in (
            *begun.values(),
            *(shorter.values() if self.optional else ()),
        ):
            yield ResidualArchitecture(stages, stem)


_Begun = dict[tuple[int, Size, Stem | None], tuple[float, tuple[Stage, ...], int, Size, Stem]]
"""The best beginnings of networks by width and size of their map: cost, stages, width, size, stem.

Those without a stage are told apart by their stems, too.
"""


@cache
def _dimensions(space: ResidualSpace) -> Mapping[str, tuple[str, ...]]:
    """What can be chosen beside convolutions, as `ResidualArchitecture.dimensions` spells it."""
    found: dict[str, tuple[str, ...]] = {"stem": space.stems}
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
def _settings(kind: str, c_in: int, c_out: int, *, pointwise: bool) -> tuple[Conv, ...]:
    # A type that cannot serve these widths at all leaves the layer regular.
    found: tuple[Conv, ...] = TYPES.get(kind).settings(c_in, c_out) or Regular.settings(c_in, c_out)
    return (*found, POINTWISE) if pointwise and kind == Regular.kind else found


@cache
def _most_settings(space: ResidualSpace) -> int:
    """The most settings that any type offers any layer of the space."""
    pairs, before = set[tuple[int, int]](), set[int]()
    for widths in space.widths:
        for width in widths:
            for hidden in space.hidden(width):
                pairs |= {(width, hidden), (hidden, width)}
                pairs |= {(c_in, hidden) for c_in in before}
        before = set(widths)
    return max(len(space.settings(kind, *pair)) for kind in space.kinds for pair in pairs)


@cache
def _ends(
    space: ResidualSpace, task: Task, measure: Measure
) -> tuple[ResidualArchitecture, ResidualArchitecture]:
    """The networks of least and of most cost: a second's work."""
    counted = (task, _LAYER_COSTS[measure], *_totals(task, measure))
    return space.least(*counted), space.most(*counted)


def _labels(space: ResidualSpace, pairs: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """Every convolution of the space between these widths."""
    return tuple(sorted({str(conv) for pair in pairs for conv in space.choices(*pair)}))


def _totals(task: Task, measure: Measure) -> tuple[Total, Total]:
    """What a network costs, and what its first stages do, which end in no classifier."""
    begun = replace(task, classes=1)
    return (
        lambda architecture: getattr(predict(architecture, task), measure),
        lambda architecture: getattr(predict(architecture, begun), measure),
    )


def _plain(value: object) -> object:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _frozen(value: object) -> Any:  # noqa: ANN401 - of JSON
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_LAYER_COSTS: Mapping[Measure, ChoiceCost] = {
    "macs": lambda conv, c_in, c_out, size, stride: conv.macs(c_in, c_out, size, stride),
    "params": lambda conv, c_in, c_out, _size, _stride: conv.params(c_in, c_out),
    "activation_memory": lambda conv, c_in, c_out, size, stride: conv.peak_activations(
        c_in, c_out, size, stride
    ),
}
