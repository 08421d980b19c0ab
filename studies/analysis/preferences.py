"""Which types of convolution a front prefers, beside all networks that were trained to the end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studies.analysis.facts import Facts
from studies.records.tables import Evaluation
from trainers.intervals import between_means

_STEM = "stem"


@dataclass(frozen=True, slots=True)
class Preference:
    """How often a type of convolution is chosen.

    Attributes:
        kind: the type.
        front: its share of the layers of the front, 0 to 1.
        tried: its share of the layers of all full trainings.
        sure: whether networks of the front have another share of it than the others with 95 %
            confidence, for all types together (Welch's intervals, Bonferroni).
    """

    kind: str
    front: float
    tried: float
    sure: bool

    @property
    def ratio(self) -> float | None:
        """How many times as often the front has it; None if nothing has."""
        return self.front / self.tried if self.tried else None


def preferences(facts: Facts) -> list[Preference]:
    """The types, by how many times as often the front has them."""
    on_front = {entry.number for entry in facts.front}
    kinds = {entry.number: kinds_of(facts, [entry]) for entry in facts.complete}
    mine = [kinds[number] for number in on_front]
    others = [found for number, found in kinds.items() if number not in on_front]
    every = [*mine, *others]
    found = (
        Preference(
            kind,
            _pooled(mine, kind),
            _pooled(every, kind),
            _sure(_shares(mine, kind), _shares(others, kind), len(facts.kinds)),
        )
        for kind in facts.kinds
    )
    return sorted(found, key=lambda preference: -(preference.ratio or 0.0))


def kinds_of(facts: Facts, entries: Iterable[Evaluation]) -> Counter[str]:
    """How many layers of these networks have each type; stems are not chosen."""
    return Counter(
        layer.conv.kind
        for entry in entries
        for layer in facts.architectures[entry.number].layers()
        if layer.name != _STEM
    )


def _pooled(networks: Sequence[Counter[str]], kind: str) -> float:
    return sum(found[kind] for found in networks) / sum(found.total() for found in networks)


def _shares(networks: Iterable[Counter[str]], kind: str) -> list[float]:
    return [found[kind] / found.total() for found in networks]


def _sure(mine: Sequence[float], others: Sequence[float], kinds: int) -> bool:
    if min(len(mine), len(others)) < 2:  # noqa: PLR2004 - one has no spread
        return False
    apart = abs(sum(mine) / len(mine) - sum(others) / len(others))
    return apart > between_means(mine, others, comparisons=kinds) > 0
