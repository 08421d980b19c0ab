"""The space over a backbone: each replaceable convolution as it is, or of one of our types."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, Self

from nas_space.conversion.replacing import macs, options
from nas_space.conversion.site import ConvSite
from nas_space.convs import Conv
from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.backbone.architecture import Backbone, BackboneArchitecture, kept
from nas_space.spaces.backbone.as_is import AsIs
from nas_space.spaces.space import Labels, Measure, Parameter, Space, UnknownSpaceError

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
        found = {kind for site in self.backbone.sites for kind in _offers(site)}
        return (AsIs.kind, *sorted(found - {AsIs.kind}))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """For each layer its type, and its level where a type has several settings."""
        found = []
        for site in self.backbone.sites:
            found.append(Parameter(site.name, tuple(_offers(site))))
            levels = tuple(str(level) for level in range(1, _levels(site) + 1))
            found.append(Parameter(f"{site.name}.setting", levels, ordered=True))
        return tuple(parameter for parameter in found if len(parameter.labels) > 1)

    def decode(self, labels: Labels) -> BackboneArchitecture:
        """The architecture that these labels mean; absent ones mean their first label."""
        return BackboneArchitecture(
            self.backbone, tuple(_chosen(site, labels) for site in self.backbone.sites)
        )

    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it."""
        if not isinstance(architecture, BackboneArchitecture):
            return None
        if architecture.backbone != self.backbone:
            return None
        chance = random.Random(architecture.key)
        labels = {p.name: chance.choice(p.labels) for p in self.parameters}
        for site, conv in zip(self.backbone.sites, architecture.convs, strict=True):
            fitting = _offers(site).get(conv.kind, ())
            if conv not in fitting:
                return None
            labels[site.name] = conv.kind
            if len(fitting) > 1:
                level = -(-fitting.index(conv) * _levels(site) // len(fitting)) + 1
                labels[f"{site.name}.setting"] = str(level)
        return labels if self.decode(labels) == architecture else None

    def uniform(self) -> Iterator[Architecture]:
        """The backbone as it is; then each type wherever it can be, middling, dense, sparse."""
        yield from self.by_hand()
        for share in (_MIDDLE, _DENSEST, _SPARSEST):
            for kind in self.kinds[1:]:
                convs = (_at(site, kind, share) for site in self.backbone.sites)
                yield BackboneArchitecture(self.backbone, tuple(convs))

    def by_hand(self) -> Iterator[Architecture]:
        """The backbone as it is."""
        yield BackboneArchitecture(self.backbone, tuple(map(kept, self.backbone.sites)))

    @property
    def sections(self) -> int:
        """See `Space.sections`."""
        return sum(1 for _ in self.reference().sections())

    def reference(self) -> Architecture:
        """The backbone as it is."""
        return next(iter(self.by_hand()))

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every label that each layer's convolution may take."""
        return {
            site.name: tuple(sorted(str(conv) for conv in _convs(site)))
            for site in self.backbone.sites
        }

    def size(self) -> int:
        """How many different architectures the space holds."""
        total = 1
        for site in self.backbone.sites:
            total *= len(_convs(site))
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

        def cost(conv: Conv, site: ConvSite) -> int:
            if measure == "params":
                return conv.params(site.c_in, site.c_out)
            return macs(conv, site)

        convs = [
            best(_convs(site), key=lambda conv, site=site: cost(conv, site))
            for site in self.backbone.sites
        ]
        return BackboneArchitecture(self.backbone, tuple(convs))


@cache
def _offers(site: ConvSite) -> Mapping[str, tuple[Conv, ...]]:
    """For each type that a place may have its settings there, from dense to sparse."""
    return {AsIs.kind: (kept(site),), **options(site)}


def _convs(site: ConvSite) -> tuple[Conv, ...]:
    return tuple(conv for convs in _offers(site).values() for conv in convs)


def _levels(site: ConvSite) -> int:
    return max(map(len, _offers(site).values()))


def _chosen(site: ConvSite, labels: Labels) -> Conv:
    offers = _offers(site)
    fitting = offers[labels.get(site.name, AsIs.kind)]
    level = int(labels.get(f"{site.name}.setting", "1")) - 1
    return fitting[level * len(fitting) // _levels(site)]


def _at(site: ConvSite, kind: str, share: float) -> Conv:
    """The setting of a type that far from dense (0) to sparse (1); as it was if it has none."""
    fitting = _offers(site).get(kind)
    return fitting[round(share * (len(fitting) - 1))] if fitting else kept(site)
