"""What is searched, and what its networks cost."""

import dataclasses
from dataclasses import dataclass

from nas_space.architecture import Architecture
from nas_space.cost import Cost, Task, predict
from nas_space.spaces import Space
from searchers.latency.model import LatencyModel
from searchers.limits import Limits


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched.

    Attributes:
        space: where the architectures come from.
        task: what they are for.
        limits: what they keep.
        latency: predicts how long networks take; None where nobody asked for it.
    """

    space: Space
    task: Task
    limits: Limits
    latency: LatencyModel | None = None

    def cost(self, architecture: Architecture) -> Cost:
        """What a network costs, its predicted latency included where one is asked for."""
        cost = predict(architecture, self.task)
        if self.latency is None:
            return cost
        return dataclasses.replace(cost, latency=self.latency.predict(architecture))
