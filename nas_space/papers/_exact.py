"""Exact numbers that are not ours: from the authors' code, executed, or from what is said of it."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from nas_space.papers.counts import Counts


@dataclass(frozen=True, slots=True)
class Exact:
    """Exact numbers of one network.

    Attributes:
        how: ``executed``: code of others gave them; ``asserted``: it states them; ``derived``: they
            were counted from a description.
        source: whose.
        params: trainable numbers.
        macs: multiply-adds of convolutions and classifier.
        params_without_norm: without BN, where the source tells them apart.
        params_without_classifier: likewise without the classifier.
        counter: operations as the counter of the OctConv authors has them, for their networks.
    """

    how: str
    source: str
    params: int
    macs: int
    params_without_norm: int | None = None
    params_without_classifier: int | None = None
    counter: int | None = None

    def equals(self, counts: Counts) -> bool:
        """Whether parameters and multiply-adds are the same integers."""
        return (self.params, self.macs) == (counts.params, counts.macs)


@cache
def exact() -> dict[str, Exact]:
    """The networks whose exact numbers are known, by name."""
    file = resources.files(__package__).joinpath("exact.json")
    data = json.loads(file.read_text(encoding="utf-8"))
    sources = data["sources"]
    return {
        name: Exact(**(numbers | sources[numbers["source"]]))
        for name, numbers in data["networks"].items()
    }
