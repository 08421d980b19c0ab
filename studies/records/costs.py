"""The costs of a network, as columns of a row."""

from typing import Any

from nas_space.costs.cost import Cost
from studies.objective import Objective


def columns(cost: Cost, objective: Objective, device: str | None = None) -> dict[str, Any]:
    """The columns of an `Evaluation` that hold costs.

    Args:
        cost: see `Cost`.
        objective: of its study.
        device: that its latency was predicted for; None if it has no latency.
    """
    return {
        "cost": objective.of(cost),
        "params": cost.params,
        "macs": cost.macs,
        "activation_memory": cost.activation_memory,
        "latency": cost.latency,
        "latency_device": device if cost.latency is not None else None,
        "costs": dict(cost.more),
    }
