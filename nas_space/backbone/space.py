"""The space over a backbone: each replaceable convolution as it is, or of one of our types."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, Self

from nas_space.architecture import Architecture, InvalidArchitectureError
from nas_space.backbone.architecture import Backbone, BackboneArchitecture, kept
from nas_space.backbone.as_is import AsIs
from nas_space.convs import Conv
from nas_space.cost import Task
from nas_space.place import Place
from nas_space.replacing import macs, options
from nas_space.space import Labels, Measure, Parameter, Space, UnknownSpaceError

_MIDDLE, _DENSEST, _SPARSEST = 0.5, 0.0, 1.0


@dataclass(frozen=True)
class BackboneSpace(Space):
    """Networks that differ from a backbone in the types of its convolutions alone.

    A replaceable layer offers the types that compute less there than the original does.

    Attributes:
        name: ``backbone:`` and the backbone's.
        backbone: what is to be changed.
    """

    measures: ClassVar[tuple[Measure, ...]] = ("macs", "params")

    name: str
    backbone: Backbone

    @cached_property
    def kinds(self) -> tuple[str, ...]:  # type: ignore[override]
        """The types that some layer offers, and the one that leaves it alone."""
        found = {kind for place in self.backbone.places for kind in _offers(place)}
        return (AsIs.kind, *sorted(found - {AsIs.kind}))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """For each layer its type, and its level where a type has several settings."""
        found = []
        for place in self.backbone.places:
            found.append(Parameter(place.name, tuple(_offers(place))))
            levels = tuple(str(level) for level in range(1, _levels(place) + 1))
            found.append(Parameter(f"{place.name}.setting", levels))
        return tuple(parameter for parameter in found if len(parameter.labels) > 1)

    def decode(self, labels: Labels) -> BackboneArchitecture:
        """The architecture that these labels mean; absent ones mean their first label."""
        return BackboneArchitecture(
            self.backbone, tuple(_chosen(place, labels) for place in self.backbone.places)
        )

    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it."""
        if not isinstance(architecture, BackboneArchitecture):
            return None
        if architecture.backbone != self.backbone:
            return None
        chance = random.Random(architecture.key)
        labels = {p.name: chance.choice(p.labels) for p in self.parameters}
        for place, conv in zip(self.backbone.places, architecture.convs, strict=True):
            fitting = _offers(place).get(conv.kind, ())
            if conv not in fitting:
                return None
            labels[place.name] = conv.kind
            if len(fitting) > 1:
                level = -(-fitting.index(conv) * _levels(place) // len(fitting)) + 1
                labels[f"{place.name}.setting"] = str(level)
        return labels if self.decode(labels) == architecture else None

    def uniform(self) -> Iterator[Architecture]:
        """The backbone as it is; then each type wherever it can be, middling, dense, sparse."""
        yield BackboneArchitecture(self.backbone, tuple(map(kept, self.backbone.places)))
        for share in (_MIDDLE, _DENSEST, _SPARSEST):
            for kind in self.kinds[1:]:
                convs = (_at(place, kind, share) for place in self.backbone.places)
                yield BackboneArchitecture(self.backbone, tuple(convs))

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each layer's convolution may take."""
        return {
            place.name: tuple(sorted(str(conv) for conv in _convs(place)))
            for place in self.backbone.places
        }

    def size(self) -> int:
        """How many different architectures the space holds."""
        total = 1
        for place in self.backbone.places:
            total *= len(_convs(place))
        return total

    def to_json(self) -> dict[str, Any]:
        """Name, types and backbone, from which it is read without the network itself."""
        return {
            "name": self.name,
            "kinds": list(self.kinds),
            "backbone": self.backbone.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            UnknownSpaceError: this version does not know it so.
        """
        try:
            return cls(data["name"], Backbone.from_json(data["backbone"]))
        except (InvalidArchitectureError, KeyError) as error:
            raise UnknownSpaceError(f"the study's space cannot be read: {error}") from None

    def smallest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture of fewest MACs or parameters."""
        return self._best(task, min, measure)

    def largest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture of most MACs or parameters."""
        return self._best(task, max, measure)

    def _best(self, task: Task, best: Callable[..., Conv], measure: Measure) -> Architecture:
        assert task == self.backbone.task  # noqa: S101 - it was made for it

        def cost(conv: Conv, place: Place) -> int:
            if measure == "params":
                return conv.params(place.c_in, place.c_out)
            return macs(conv, place)

        convs = [
            best(_convs(place), key=lambda conv, place=place: cost(conv, place))
            for place in self.backbone.places
        ]
        return BackboneArchitecture(self.backbone, tuple(convs))


@cache
def _offers(place: Place) -> Mapping[str, tuple[Conv, ...]]:
    """For each type that a place may have its settings there, from dense to sparse."""
    return {AsIs.kind: (kept(place),), **options(place)}


def _convs(place: Place) -> tuple[Conv, ...]:
    return tuple(conv for convs in _offers(place).values() for conv in convs)


def _levels(place: Place) -> int:
    return max(map(len, _offers(place).values()))


def _chosen(place: Place, labels: Labels) -> Conv:
    offers = _offers(place)
    fitting = offers[labels.get(place.name, AsIs.kind)]
    level = int(labels.get(f"{place.name}.setting", "1")) - 1
    return fitting[level * len(fitting) // _levels(place)]


def _at(place: Place, kind: str, share: float) -> Conv:
    """The setting of a type that far from dense (0) to sparse (1); as it was if it has none."""
    fitting = _offers(place).get(kind)
    return fitting[round(share * (len(fitting) - 1))] if fitting else kept(place)
