"""The space of a user's function: all choices of its arguments."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nas_space.costs.cost import Cost, Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.choices.architecture import ChoiceArchitecture
from nas_space.spaces.choices.choices import CHOICES, Choices
from nas_space.spaces.space import Labels, Measure, Parameter, Space, UnknownSpaceError

_FEW = 256
"""Networks that are all counted to find the cheapest."""
_SWEEPS = 2
_SPREAD = (0.5, 0.0, 1.0, 0.25, 0.75)
"""Places of all choices in the first networks."""


@dataclass(frozen=True)
class ChoiceSpace(Space):
    """The networks of a function.

    Attributes:
        name: as users type it.
        digest: of what some of its networks compute, so that a function that has changed is
            noticed; None if nobody has looked.
    """

    measures: ClassVar[tuple[Measure, ...]] = ("macs", "params")

    name: str
    digest: str | None = None
    kinds: tuple[str, ...] = ()

    @property
    def choices(self) -> Choices:
        """The function, and what may be chosen."""
        return CHOICES.get(self.name)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The arguments of the function that have several values."""
        choices = self.choices
        found = []
        for name, labels in choices.labels.items():
            numbers = choices.is_ordered(name)
            found.append(Parameter(name, labels, ordered=numbers, widens=numbers))
        return tuple(parameter for parameter in found if len(parameter.labels) > 1)

    def decode(self, labels: Labels) -> ChoiceArchitecture:
        """The architecture that these labels mean; absent ones mean their first label."""
        offered = self.choices.labels
        return ChoiceArchitecture(
            self.name, tuple((name, labels.get(name, every[0])) for name, every in offered.items())
        )

    def encode(self, architecture: Architecture) -> dict[str, str] | None:
        """Labels that `decode` reads as this architecture; None if the space does not hold it."""
        if not isinstance(architecture, ChoiceArchitecture) or architecture.space != self.name:
            return None
        labels, chosen = self.choices.labels, dict(architecture.chosen)
        if chosen.keys() != labels.keys() or any(chosen[n] not in labels[n] for n in labels):
            return None
        return {p.name: chosen[p.name] for p in self.parameters}

    def uniform(self) -> Iterator[Architecture]:
        """Networks whose choices all stand at the same place, then random ones."""
        labels, chance = self.choices.labels, random.Random(0)
        for share in _SPREAD:
            yield self.decode(
                {n: every[round(share * (len(every) - 1))] for n, every in labels.items()}
            )
        for _ in range(_FEW):
            yield self.decode({name: chance.choice(every) for name, every in labels.items()})

    def by_hand(self) -> Iterator[Architecture]:
        """Those that the user has named."""
        for values in self.choices.by_hand.values():
            yield self.decode({name: str(value) for name, value in values.items()})

    @property
    def sections(self) -> int:
        """None: see `ChoiceArchitecture.layers`."""
        return 0

    def reference(self) -> Architecture:
        """The network whose choices all stand in the middle."""
        return next(iter(self.uniform()))

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Every value of each argument."""
        return self.choices.labels

    def size(self) -> int:
        """How many different architectures the space holds."""
        return math.prod(map(len, self.choices.labels.values()))

    def to_json(self) -> dict[str, Any]:
        """Name, values and digest."""
        return {
            "name": self.name,
            "kinds": list(self.kinds),
            "choices": {name: list(labels) for name, labels in self.choices.labels.items()},
            "digest": self.digest,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            UnknownSpaceError: the plugin is not loaded, or its function has other values now.
        """
        space = cls(data["name"], data.get("digest"))
        if space.to_json() != data:
            raise UnknownSpaceError(
                f"the values of {space.name} have changed: bring those of the study back"
            )
        return space

    def smallest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture of fewest MACs or parameters.

        It is exact for small spaces and where each choice costs more or less by itself.
        """
        return self._best(task, min, measure)

    def largest(self, task: Task, measure: Measure = "macs") -> Architecture:
        """The architecture of most MACs or parameters, see `smallest`."""
        return self._best(task, max, measure)

    def _best(
        self, task: Task, best: Callable[..., ChoiceArchitecture], measure: Measure
    ) -> ChoiceArchitecture:
        def cost(architecture: ChoiceArchitecture) -> int:
            found: Cost = architecture.cost(task)
            return found.params if measure == "params" else found.macs

        labels = self.choices.labels
        if self.size() <= _FEW:
            return best(self._all(labels), key=cost)
        chosen = {name: every[0] for name, every in labels.items()}
        for _, name in itertools.product(range(_SWEEPS), labels):
            found = best((self.decode({**chosen, name: one}) for one in labels[name]), key=cost)
            chosen = dict(found.chosen)
        return self.decode(chosen)

    def _all(self, labels: Mapping[str, Sequence[str]]) -> Iterator[ChoiceArchitecture]:
        for row in itertools.product(*labels.values()):
            yield self.decode(dict(zip(labels, row, strict=True)))
