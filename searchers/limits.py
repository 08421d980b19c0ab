"""Hard limits on what a proposed network may cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas_space.cli import short
from nas_space.costs.cost import Cost, Task, predict
from nas_space.devices import Memory, Profile
from nas_space.errors import ConvnasError
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.residual.memory import BYTES_A_NUMBER
from nas_space.spaces.space import Measure, Space, UnknownSpaceError
from searchers.latency.model import LatencyModel
from studies.objective import Objective


class ImpossibleLimitError(ConvnasError):
    """No architecture of the space is within the limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of every proposal; None is no limit.

    Attributes:
        macs: most multiply-adds per image.
        params: most parameters.
        activation_memory: most bytes of activations at once, see `spaces.residual.memory`.
        int8_weights: most bytes of weights in int8, which a device's flash limits.
        latency: most predicted seconds for a batch, usually of one image, see `searchers.latency`.
            It limits the prediction: a network that is measured may take a little longer.
        more: of the costs of plugins, by the names of their objectives.
    """

    macs: int | None = None
    params: int | None = None
    activation_memory: int | None = None
    latency: float | None = None
    int8_weights: int | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    def of(self, objective: Objective) -> float | None:
        """The limit of an objective's cost."""
        if objective.price is not None:
            return self.more.get(objective.name)
        limit: float | None = getattr(self, objective.column)
        return limit

    def at_most(self, objective: Objective, cost: float) -> "Limits":
        """These limits, and another one of an objective's cost."""
        before = self.of(objective)
        most = cost if before is None else min(before, cost)
        if objective.price is not None:
            return replace(self, more={**self.more, objective.name: most})
        changed: dict[str, Any] = {objective.column: most}
        return replace(self, **changed)

    def on(self, device: Profile) -> "Limits":
        """These limits, and those of a device's memories: of two, the smaller one."""
        numbers, weights = device.numbers_at_once, device.weights_bytes
        as_fp32 = None if numbers is None else BYTES_A_NUMBER * numbers
        in_fp32 = None if weights is None else weights // BYTES_A_NUMBER
        return replace(
            self,
            activation_memory=_smaller(self.activation_memory, as_fp32),
            params=_smaller(self.params, None if device.is_int8 else in_fp32),
            int8_weights=_smaller(self.int8_weights, weights if device.is_int8 else None),
        )

    def excess(self, cost: Cost) -> float:
        """How far a cost is beyond the limits: a sum of logarithms of ratios; 0 within them."""
        pairs: tuple[tuple[float | None, float | None], ...] = (
            (cost.macs, self.macs),
            (cost.params, self.params),
            (cost.activation_memory, self.activation_memory),
            (cost.latency, self.latency),
            (cost.int8_weights, self.int8_weights),
            *((cost.more.get(name), most) for name, most in self.more.items()),
        )
        return sum(
            math.log(max(1.0, have / most))
            for have, most in pairs
            if have is not None and most is not None
        )


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def part_for(space: Space, task: Task, device: Profile) -> ResidualSpace:
    """The part of a space that a device runs.

    Raises:
        ImpossibleLimitError: there is none, or its memories are too small for all of it.
        InvalidChoiceError: a plugin's type says no operations.
    """
    said = f"--device {device.name}"
    if not isinstance(space, ResidualSpace):
        raise ImpossibleLimitError(
            f"{said}: it is not known before the export what networks of {space.name} take of a "
            f"device; search without it, and see then: studies.export {said}"
        )
    try:
        part = space.on(device.operators, task.channels)
    except UnknownSpaceError as error:
        raise ImpossibleLimitError(f"{said}: {error}") from None
    limits = Limits().on(device)
    weights: Measure = "int8_weights" if device.is_int8 else "params"
    memories: tuple[tuple[Measure, str, Memory | None], ...] = (
        ("activation_memory", "RAM", device.ram),
        (weights, "flash", device.flash),
    )
    for measure, name, memory in memories:
        most = getattr(limits, measure)
        if memory is None or most is None:
            continue
        smallest = part.smallest(task, measure)
        if getattr(predict(smallest, task), measure) > most:
            taken = device.taken_of(predict(smallest, task))
            bytes_ = taken.ram if name == "RAM" else taken.flash
            raise ImpossibleLimitError(
                f"{said} has {short(memory.left)}B of {name} for a network, and the smallest one "
                f"of the space {space.name} takes {short(bytes_ or 0)}B"
            )
    return part


def check_limits(space: Space, task: Task, limits: Limits) -> None:
    """Raise ImpossibleLimitError if a limit is below the smallest network of the space."""
    measures: tuple[Measure, ...] = ("macs", "params", "activation_memory")
    for what in measures:
        most, option = getattr(limits, what), f"--max-{what.replace('_', '-')}"
        if most is None:
            continue
        if what not in space.measures:
            known = " or ".join(f"--max-{name.replace('_', '-')}" for name in space.measures)
            raise ImpossibleLimitError(
                f"{option} is not known for networks of {space.name}: use {known} instead"
            )
        least = getattr(predict(space.smallest(task, what), task), what)
        if least > most:
            raise ImpossibleLimitError(
                f"{option} {most} cannot be kept: the smallest network of "
                f"the space {space.name} has {least}"
            )


def check_latency(space: ResidualSpace, model: LatencyModel, limits: Limits) -> None:
    """Raise ImpossibleLimitError if the fastest network of the space is predicted to be slower."""
    least = model.predict(model.fastest(space))
    if limits.latency is not None and least > limits.latency:
        raise ImpossibleLimitError(
            f"--max-latency {1000 * limits.latency:.3g}ms cannot be kept: the fastest network of "
            f"the space {space.name} takes {rounded_up(1000 * least)}ms, as predicted"
        )


def rounded_up(number: float) -> float:
    """The next number with three digits: a limit that a user can type, and that is possible."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 2)
    return float(f"{math.ceil(number / unit) * unit:.3g}")
