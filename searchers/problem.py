"""What is searched, and what its networks cost."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from nas_space.costs.cost import Cost, Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.space import Space
from searchers.latency.model import LatencyModel
from searchers.limits import Limits
from studies.objective import MACS, Objective


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
        space: where the architectures come from.
        task: what they are for.
        limits: of their costs.
        latency: predicts how long networks take; None if not asked for.
        objective: the cost that is made small.
    """

    space: Space
    task: Task
    limits: Limits
    latency: LatencyModel | None = None
    objective: Objective = MACS

    def cost(self, architecture: Architecture) -> Cost:
        """The cost of a network, with its predicted latency if that was asked for."""
        cost = predict(architecture, self.task)
        if self.latency is None:
            return cost
        return dataclasses.replace(cost, latency=self.latency.predict(architecture))

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The objective's cost of the cheapest and of the dearest network of the space."""
        low, high = (self.objective.of(self.cost(network)) for network in self._extremes())
        return low, high

    def _extremes(self) -> tuple[Architecture, Architecture]:
        measure = self.objective.measure
        if measure is not None:
            space, task = self.space, self.task
            return space.smallest(task, measure), space.largest(task, measure)
        assert self.latency is not None  # noqa: S101 - `set_up` sees to it
        assert isinstance(self.space, ResidualSpace)  # noqa: S101 - as above
        return self.latency.fastest(self.space), self.latency.slowest(self.space)
