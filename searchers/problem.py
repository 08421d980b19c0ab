"""What is searched, and what its networks cost."""

import dataclasses
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

from nas_space.costs.cost import Cost, Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.space import Space
from searchers.latency.model import LatencyModel
from searchers.limits import Limits
from studies.objective import MACS, OBJECTIVES, Objective, UnknownObjectiveError

if TYPE_CHECKING:
    # To read a command line needs no database.
    from studies.records.tables import Evaluation

_TARGET_SPREAD = 0.1
"""How far below a target the attention reaches, in natural logarithms of the cost: the standard
deviation of a normal distribution of which only the half below the target is taken."""
_PRICED = 64
"""Uniform networks, and as many random ones, that tell the range of a plugin's objective."""


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
        space: where the architectures come from.
        task: what they are for.
        limits: of their costs.
        latency: predicts how long networks take; None if not asked for.
        objective: the cost that is made small.
        target: the cost that the network which is wanted may have at most, in the objective's unit;
            None gives every octave of costs the same attention.
    """

    space: Space
    task: Task
    limits: Limits
    latency: LatencyModel | None = None
    objective: Objective = MACS
    target: float | None = None

    def cost(self, architecture: Architecture) -> Cost:
        """The cost of a network, with its predicted latency if that was asked for."""
        cost = predict(architecture, self.task)
        if self._plugins:
            more = {found.name: found.priced(architecture, self.task) for found in self._plugins}
            cost = dataclasses.replace(cost, more=more)
        if self.latency is None:
            return cost
        return dataclasses.replace(cost, latency=self.latency.predict(architecture))

    def check(self, evaluations: "Sequence[Evaluation]") -> None:
        """See whether a plugin's objective still gives what it gave the last of these networks.

        Raises:
            UnknownObjectiveError: it gives another value: old and new costs cannot be compared.
        """
        if self.objective.price is None or not evaluations:
            return
        last = evaluations[-1]
        now = self.objective.priced(last.parsed_architecture, self.task)
        if not math.isclose(now, last.cost):
            write = self.objective.write
            raise UnknownObjectiveError(
                f"the objective {self.objective.name} gives {write(now)} for trial {last.number}, "
                f"and gave {write(last.cost)}: bring its function back, or begin another --study"
            )

    @cached_property
    def _plugins(self) -> list[Objective]:
        """The objectives of plugins that are searched for or limited."""
        used = dict.fromkeys([self.objective, *map(OBJECTIVES.get, self.limits.more)])
        return [objective for objective in used if objective.price is not None]

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The objective's cost of the cheapest and of the dearest network of the space.

        Of a plugin's objective these are the least and the most among networks of few and of many
        MACs, uniform ones and random ones.
        """
        costs = [self.objective.of(self.cost(network)) for network in self._extremes()]
        return min(costs), max(costs)

    @cached_property
    def span(self) -> tuple[float, float]:
        """The costs that a search attends to: from the cheapest hand-designed network to the limit.

        Without a limit they end where `Space.reference` is. Where hand-designed networks are few,
        they begin at the least of the space.
        """
        low, high = self.bounds
        costs = [self.objective.of(cost) for cost, _ in self.by_hand]
        limit = self.limits.of(self.objective)
        if limit is None and self.latency is None:
            limit = self.objective.of(self.cost(self.space.reference()))
        high = max(low, min(high, high if limit is None else limit))
        return (min(costs) if len(costs) > 1 else low), high

    @cached_property
    def by_hand(self) -> list[tuple[Cost, Architecture]]:
        """The hand-designed networks within the limits whose costs are known."""
        found = []
        for architecture in self.space.by_hand():
            # A latency is known of the space's own layers only.
            if self.latency is not None and self.space.encode(architecture) is None:
                continue
            cost = self.cost(architecture)
            if self.limits.excess(cost) == 0:
                found.append((cost, architecture))
        return found

    def at(self, share: float) -> float:
        """A cost of the span by its share, 0 to 1, of the search's attention.

        Shares are even over the logarithm of costs; with a target, as `weigh` has them.
        """
        if self.target is None:
            low, high = self.span
            return float(low * (high / low) ** share)
        return self.target * math.exp(_TARGET_SPREAD * NormalDist().inv_cdf(share / 2))

    def spread(self, count: int) -> list[float]:
        """That many costs, evenly spread: the middle first, then ever finer."""
        return [self.at(_halved(number)) for number in range(1, count + 1)]

    def weigh(self, costs: Sequence[float]) -> list[float]:
        """Places of costs on an axis where equal lengths deserve equal attention."""
        if self.target is None:
            return [math.log(max(cost, self.span[0])) for cost in costs]
        attention = NormalDist(math.log(self.target), _TARGET_SPREAD)
        return [min(1.0, 2 * attention.cdf(math.log(cost))) for cost in costs]

    def octave(self, cost: float) -> float:
        """The place of a cost in octaves; with a target, in eighths of the search's attention."""
        (place,) = self.weigh([cost])
        return place / math.log(2) if self.target is None else 8 * place

    def judged(self, cost: float) -> float:
        """A cost as networks are compared by it: within a target, to cost less is no better."""
        return cost if self.target is None else self.target

    def _extremes(self) -> Sequence[Architecture]:
        space, task = self.space, self.task
        if self.objective.price is not None:
            ends = space.smallest(task), space.largest(task)
            chance = random.Random(0)
            some = itertools.islice(space.uniform(), _PRICED)
            drawn = [
                space.decode({p.name: chance.choice(p.labels) for p in space.parameters})
                for _ in range(_PRICED)
            ]
            return [*ends, *some, *drawn]
        measure = self.objective.measure
        if measure is not None:
            return space.smallest(task, measure), space.largest(task, measure)
        assert self.latency is not None  # noqa: S101 - `set_up` sees to it
        assert isinstance(self.space, ResidualSpace)  # noqa: S101 - as above
        return self.latency.fastest(self.space), self.latency.slowest(self.space)


def _halved(number: int) -> float:
    """The number's binary digits behind the point, in reverse: such as 1/2, 1/4, 3/4, 1/8."""
    found, unit = 0.0, 0.5
    while number:
        found += unit * (number % 2)
        number, unit = number // 2, unit / 2
    return found
