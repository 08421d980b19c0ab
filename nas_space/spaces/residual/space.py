"""The space of residual networks: widths and depths of stages, and a convolution for each layer."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from nas_space.convs import TYPES, Conv
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual.architecture import ResidualArchitecture, Stage
from nas_space.spaces.space import ChoiceCost, Labels, Measure, Parameter, Space

_WIDTHS = ((8, 16, 24, 32, 48, 64), (16, 32, 48, 64, 96, 128), (32, 64, 96, 128, 192, 256))
_DEPTHS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class ResidualSpace(Space):
    """Residual networks whose layers choose among some types of convolution.

    A stage has a width and a depth (its number of blocks); a layer has a type (``.conv``) and a
    level (``.setting``), which picks among the settings of that type that fit the layer's
    widths, from dense to sparse. Type and setting are separate parameters because samplers learn
    faster so (measured: docs/log.md). Parameters of blocks beyond a stage's depth have no effect.

    Attributes:
        name: as users type it.
        kinds: the types of convolution that a layer may have.
        widths: for each stage, the widths it may have.
        depths: the numbers of blocks that a stage may have, ascending.
    """

    measures: ClassVar[tuple[Measure, ...]] = ("macs", "params", "activation_memory")

    name: str
    kinds: tuple[str, ...]
    widths: tuple[tuple[int, ...], ...] = _WIDTHS
    depths: tuple[int, ...] = _DEPTHS

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What a sampler chooses; parameters with a single label are left out."""
        found = []
        for s, widths in enumerate(self.widths, 1):
            found.append(Parameter(f"stage{s}.width", tuple(map(str, widths))))
            found.append(Parameter(f"stage{s}.depth", tuple(map(str, self.depths))))
            for b, c in itertools.product(range(1, self.depths[-1] + 1), (1, 2)):
                place = f"stage{s}.block{b}.conv{c}"
                found.append(Parameter(place, self.kinds))
                levels = tuple(str(level) for level in range(1, self._levels + 1))
                found.append(Parameter(f"{place}.setting", levels))
        return tuple(parameter for parameter in found if len(parameter.labels) > 1)

    def decode(self, labels: Labels) -> ResidualArchitecture:
        """The architecture that these labels mean; absent ones mean their first label."""
        stages, c_in, levels = [], 0, self._levels
        for s, widths in enumerate(self.widths, 1):
            width = int(labels.get(f"stage{s}.width", widths[0]))
            depth = int(labels.get(f"stage{s}.depth", self.depths[0]))
            c_in = c_in or width
            blocks = []
            for b in range(1, depth + 1):
                place = f"stage{s}.block{b}"
                first = self._choice(labels, f"{place}.conv1", c_in, width, levels)
                second = self._choice(labels, f"{place}.conv2", width, width, levels)
                blocks.append((first, second))
                c_in = width
            stages.append(Stage(width, tuple(blocks)))
        return ResidualArchitecture(tuple(stages))

    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it.

        Labels without effect are drawn at random, seeded by the architecture's key, so that a
        sampler that learns from them sees no pattern there.
        """
        if not isinstance(architecture, ResidualArchitecture):
            return None
        chance = random.Random(architecture.key)
        labels = {p.name: chance.choice(p.labels) for p in self.parameters}
        for s, stage in enumerate(architecture.stages, 1):
            labels[f"stage{s}.width"] = str(stage.width)
            labels[f"stage{s}.depth"] = str(len(stage.blocks))
        for layer in architecture.layers():
            if layer.c_in is None:
                continue
            offers = {kind: _settings(kind, layer.c_in, layer.c_out) for kind in self.kinds}
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

    def uniform(self) -> Iterator[ResidualArchitecture]:
        """Networks of one type everywhere, at every width that stages have in common.

        Depth and setting are the middle ones. Types and widths alternate, so that the first few
        are spread over both.
        """
        positions = min(map(len, self.widths))
        middle = str(self._levels // 2 + 1)
        depth = str(self.depths[len(self.depths) // 2])
        # With 6 widths: 0, 3, 1, 4, 2, 5 further than the type's number.
        half = (positions + 1) // 2
        shifts = sorted(range(positions), key=lambda shift: (shift % half, shift))
        for shift in shifts:
            for number, kind in enumerate(self.kinds):
                at = (number + shift) % positions
                labels = {}
                for s, widths in enumerate(self.widths, 1):
                    labels[f"stage{s}.width"] = str(widths[at])
                    labels[f"stage{s}.depth"] = depth
                    for b, c in itertools.product(range(1, self.depths[-1] + 1), (1, 2)):
                        place = f"stage{s}.block{b}.conv{c}"
                        labels |= {place: kind, f"{place}.setting": middle}
                yield self.decode(labels)

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each stage's width and depth and each layer's convolution may take."""
        found: dict[str, tuple[str, ...]] = {}
        before = self.widths[0]
        for s, widths in enumerate(self.widths, 1):
            found[f"stage{s}.width"] = tuple(map(str, widths))
            found[f"stage{s}.depth"] = tuple(map(str, self.depths))
            inner = {str(conv) for w in widths for conv in self.choices(w, w)}
            # A stage is entered at another width, but for the first, which the stem enters.
            pairs = (
                zip(widths, widths, strict=True) if s == 1 else itertools.product(before, widths)
            )
            entering = {str(conv) for c_in, w in pairs for conv in self.choices(c_in, w)}
            for b, c in itertools.product(range(1, self.depths[-1] + 1), (1, 2)):
                labels = entering if (b, c) == (1, 1) else inner
                found[f"stage{s}.block{b}.conv{c}"] = tuple(sorted(labels))
            before = widths
        return found

    def size(self) -> int:
        """How many different architectures the space holds."""
        total = 0
        for widths in itertools.product(*self.widths):
            ways, c_in = 1, widths[0]
            for width in widths:
                first, inner = len(self.choices(c_in, width)), len(self.choices(width, width))
                # A stage of depth d has one entering and 2d - 1 inner convolutions.
                ways *= sum(first * inner ** (2 * depth - 1) for depth in self.depths)
                c_in = width
            total += ways
        return total

    def to_json(self) -> dict[str, Any]:
        """Name, types, widths and depths."""
        return {
            "name": self.name,
            "kinds": list(self.kinds),
            "widths": [list(widths) for widths in self.widths],
            "depths": list(self.depths),
        }

    def smallest(self, task: Task, measure: Measure = "macs") -> ResidualArchitecture:
        """The architecture of fewest MACs, parameters, or bytes of activations at its peak."""
        return self.least(task, _LAYER_COSTS[measure], lambda a: getattr(predict(a, task), measure))

    def largest(self, task: Task, measure: Measure = "macs") -> ResidualArchitecture:
        """The architecture of most MACs, parameters, or bytes of activations at its peak."""
        return self.most(task, _LAYER_COSTS[measure], lambda a: getattr(predict(a, task), measure))

    def least(
        self, task: Task, layer: ChoiceCost, total: Callable[[ResidualArchitecture], float]
    ) -> ResidualArchitecture:
        """The architecture of least total, exactly.

        Args:
            task: what it is for.
            layer: what a choice adds to the total.
            total: never less where a layer costs more, widths being equal, nor with more blocks;
                as a sum over layers is, or a maximum.
        """
        return min(self._best(task, layer, self.depths[0]), key=total)

    def most(
        self, task: Task, layer: ChoiceCost, total: Callable[[ResidualArchitecture], float]
    ) -> ResidualArchitecture:
        """The architecture of most total, exactly; see `least`."""
        found = self._best(task, lambda *place: -layer(*place), self.depths[-1])
        return max(found, key=total)

    @property
    def _levels(self) -> int:
        return _most_settings(self.kinds, self.widths)

    def _choice(self, labels: Labels, place: str, c_in: int, c_out: int, levels: int) -> Conv:
        fitting = _settings(labels.get(place, self.kinds[0]), c_in, c_out)
        level = int(labels.get(f"{place}.setting", "1")) - 1
        return fitting[level * len(fitting) // levels]

    def choices(self, c_in: int, c_out: int) -> tuple[Conv, ...]:
        """Every convolution that a layer of these widths may be."""
        found = (conv for kind in self.kinds for conv in _settings(kind, c_in, c_out))
        return tuple(dict.fromkeys(found))

    def _best(self, task: Task, layer: ChoiceCost, depth: int) -> Iterator[ResidualArchitecture]:
        """For each combination of widths, the architecture whose every layer costs least."""

        @cache
        def best(c_in: int, c_out: int, size: Size, stride: int) -> Conv:
            choices = self.choices(c_in, c_out)
            return min(choices, key=lambda conv: layer(conv, c_in, c_out, size, stride))

        for widths in itertools.product(*self.widths):
            stages, c_in, size = [], widths[0], task.size
            for s, width in enumerate(widths):
                stride = 2 if s else 1
                first = best(c_in, width, size, stride)
                size = out_size(size, stride)
                inner = best(width, width, size, 1)
                blocks = ((first, inner), *([(inner, inner)] * (depth - 1)))
                stages.append(Stage(width, blocks))
                c_in = width
            yield ResidualArchitecture(tuple(stages))


@cache
def _settings(kind: str, c_in: int, c_out: int) -> tuple[Conv, ...]:
    # A type that cannot serve these widths at all leaves the layer regular.
    return TYPES.get(kind).settings(c_in, c_out) or Regular.settings(c_in, c_out)


@cache
def _most_settings(kinds: tuple[str, ...], widths: tuple[tuple[int, ...], ...]) -> int:
    """The most settings that any of these types offers any layer of a space."""
    return max(
        len(_settings(kind, c_in, c_out))
        for kind in kinds
        for before, after in zip((widths[0], *widths), widths, strict=False)
        for c_out in after
        for c_in in (*before, c_out)
    )


_LAYER_COSTS: Mapping[Measure, ChoiceCost] = {
    "macs": lambda conv, c_in, c_out, size, stride: conv.macs(c_in, c_out, size, stride),
    "params": lambda conv, c_in, c_out, _size, _stride: conv.params(c_in, c_out),
    "activation_memory": lambda conv, c_in, c_out, size, stride: conv.peak_activations(
        c_in, c_out, size, stride
    ),
}
