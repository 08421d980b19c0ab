"""On what, how, and at which MACs found and hand-designed networks are compared."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

from nas_space.cli import short
from nas_space.convs.blueprint import Blueprint
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task, predict
from nas_space.errors import ConvnasError
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualArchitecture
from nas_space.spaces.residual.families import (
    COLLECTIONS,
    PHOTOGRAPHS,
    THUMBNAILS,
    WIDTHS,
    Collection,
    Family,
)
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.skeletons import read_architecture
from trainers.recipes import RECIPES, Recipe

SIDES = {"bayes": "found", "random": "random"}
"""How the lines call what a search by each sampler has found."""
SHORTLISTED = 3
"""Networks of each side that get further seeds: a seed moves a network by more than what the best
of them differ."""
FRESH_SEEDS = 5
"""Further seeds, by which the chosen networks are compared."""
CANDIDATES = 12
"""Networks of the search that are trained again at each level, as many as there are families."""
_MOST_CHANNELS = 512


@dataclass(frozen=True, slots=True)
class Setting:
    """One comparison.

    Attributes:
        dataset: its name; None is the folder that the benchmark is given.
        task: images and classes.
        subset: training images; None takes all.
        epochs: of every training, in the search and outside.
        budget: of the search at each level, in full trainings.
        levels: MACs that networks have at most; of a timed setting microseconds in ONNX Runtime.
        timed: whether the search is for a latency.
        found_by: another setting, whose searches have found the networks; empty searches itself.
        choice_seeds: of each network among which a side chooses.
        shortlist_seeds: further ones of the best `SHORTLISTED`.
        space: that is searched.
        families: what people scale by hand.
    """

    name: str
    dataset: str | None
    task: Task
    subset: int | None
    epochs: int
    budget: int
    levels: tuple[int, ...]
    timed: bool = False
    found_by: str = ""
    choice_seeds: int = 2
    shortlist_seeds: int = 3
    space: str = "mixed"
    families: Collection = COLLECTIONS[THUMBNAILS]

    def told(self, cost: float) -> str:
        """A cost of the levels' kind, as a person reads it."""
        return f"{cost:.0f} µs" if self.timed else short(round(cost))

    @property
    def side(self) -> int:
        """Of the images, in pixels."""
        return self.task.size[0]

    @property
    def images(self) -> str:
        """In words."""
        count = "all" if self.subset is None else f"{self.subset:,}"
        return f"{count} images of {self.side}×{self.side}"

    @property
    def recipe(self) -> Recipe:
        """How networks are trained."""
        return dataclasses.replace(RECIPES.get("quick"), epochs=self.epochs)


_CIFAR10, _PHOTOS, _CLOTHES, _DIGITS = (
    Task(c, (side, side), 10) for c, side in ((3, 16), (3, 64), (1, 16), (1, 8))
)
_LEVELS = (300_000, 930_000, 2_300_000, 570_000, 5_000_000)
"""In the order in which they are worked off."""


_BLUEPRINT = Stem(Blueprint())


def _of(name: str, expansion: int, count: int = 3, entry: str | None = None) -> Family:
    blueprint, pointwise = Blueprint(), Regular(kernel=1)
    convs = (lambda _width: blueprint, lambda _width: pointwise)
    return Family(name, 1, *convs, expansion=expansion, entry=entry, count=count, stem=_BLUEPRINT)


AFTER = (_of("four", 3, count=4), _of("three", 4), _of("halved", 4, entry="pooled"))
"""What an engineer may scale who has seen what searches find: MobileNetV2 of `blueprint`, read by
such a stem. Nobody had thought of it before: it is no baseline."""

SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("short16", None, _CIFAR10, 5_000, 9, 100, _LEVELS),
        # As users do it: searched quickly, trained long. A seed moves these networks less.
        Setting(
            "long16",
            None,
            _CIFAR10,
            40_000,
            12,
            0,
            _LEVELS,
            found_by="short16",
            choice_seeds=1,
            shortlist_seeds=2,
        ),
        Setting("fast16", None, _CIFAR10, 5_000, 9, 100, (25, 40, 65), timed=True),
        # CIFAR-10's images, made larger: what of `photo` is found beside ResNet-18 and others.
        Setting(
            "photo64",
            None,
            _PHOTOS,
            5_000,
            9,
            40,
            (4_000_000, 12_000_000, 36_000_000),
            choice_seeds=1,
            shortlist_seeds=2,
            space="photo",
            families=COLLECTIONS[PHOTOGRAPHS],
        ),
        Setting("clothes", None, _CLOTHES, 5_000, 9, 100, (300_000, 930_000, 2_300_000)),
        Setting("digits", "digits", _DIGITS, None, 6, 100, (105_000, 312_000, 1_140_000)),
    )
}


def scaled(family: Family, macs: int, task: Task) -> ResidualArchitecture | None:
    """The widest network of a family within that many MACs; None if there is none.

    Widths go up by one channel: where a type does not fit, the next one does.
    """
    found = None
    for width in range(1, _MOST_CHANNELS):
        try:
            network = ResidualArchitecture.of(family, width)
        except ConvnasError:
            continue
        if predict(network, task).macs > macs:
            break
        found = network
    return found


def sizes(family: Family) -> Iterator[ResidualArchitecture]:
    """The networks of a family at the widths that people choose."""
    for width in WIDTHS:
        with contextlib.suppress(ConvnasError):
            yield ResidualArchitecture.of(family, width)


def found_in(lines: Iterable[dict[str, Any]], prefix: str) -> list[Architecture]:
    """The networks of a prefix, each once."""
    _, networks = _measured(lines, prefix)
    return [read_architecture(network) for network in networks.values()]


def shortlist(
    lines: Iterable[dict[str, Any]], prefix: str, seeds: int
) -> list[tuple[str, Architecture]]:
    """The networks of a prefix that get more seeds, the best first, with their jobs' names.

    Those of most mean validation accuracy of so many seeds, their first ones.
    """
    measured, networks = _measured(lines, prefix)
    means = {name: mean(vals[:seeds]) for name, vals in measured.items() if len(vals) >= seeds}
    first = sorted(means, key=means.__getitem__, reverse=True)[:SHORTLISTED]
    return [(name, read_architecture(networks[name])) for name in first]


def best(lines: Iterable[dict[str, Any]], prefix: str, seeds: int) -> Architecture | None:
    """The network of most mean validation accuracy among those of a prefix with the most seeds.

    None if no network has so many as that.
    """
    measured, networks = _measured(lines, prefix)
    most = max(map(len, measured.values()), default=0)
    if most < seeds:
        return None
    means = {name: mean(vals) for name, vals in measured.items() if len(vals) == most}
    return read_architecture(networks[max(means, key=means.__getitem__)])


def _measured(
    lines: Iterable[dict[str, Any]], prefix: str
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Validation accuracies by ascending seed, and networks, by their jobs' names without seeds."""
    found: dict[str, dict[int, float]] = {}
    networks: dict[str, Any] = {}
    for line in lines:
        if line["job"].startswith(prefix):
            name, _, seed = line["job"].rpartition("/")
            found.setdefault(name, {})[int(seed)] = line["val"]
            networks[name] = line["architecture"]
    return {name: [vals[s] for s in sorted(vals)] for name, vals in found.items()}, networks
