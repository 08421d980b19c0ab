"""Hard limits on what a proposed network may cost."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from nas_space.convs import Conv
from nas_space.convs.base import Size
from nas_space.costs.cost import Cost, Task, predict
from nas_space.costs.operations import FP32_BYTES, Tally
from nas_space.costs.pricing import price
from nas_space.devices import Memory, Profile, Taken
from nas_space.errors import ConvnasError
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.residual.extremes import summed
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
        latency: most predicted seconds for a batch, usually of one image, see `searchers.latency`.
            It limits the prediction: a network that is measured may take a little longer.
        device: whose memories limit what a network takes.
        more: of the costs of plugins, by the names of their objectives.
    """

    macs: int | None = None
    params: int | None = None
    activation_memory: int | None = None
    latency: float | None = None
    device: Profile | None = None
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

    def _of_device(self, cost: Cost) -> Iterator[tuple[int, int]]:
        """What a network takes of each memory of the device, and what there is."""
        if self.device is not None:
            for use in self.device.uses(_taken(self.device, cost)):
                yield use.taken, use.left

    def excess(self, cost: Cost) -> float:
        """How far a cost is beyond the limits: a sum of logarithms of ratios; 0 within them."""
        pairs: tuple[tuple[float | None, float | None], ...] = (
            (cost.macs, self.macs),
            (cost.params, self.params),
            (cost.activation_memory, self.activation_memory),
            (cost.latency, self.latency),
            *self._of_device(cost),
            *((cost.more.get(name), most) for name, most in self.more.items()),
        )
        return sum(
            math.log(max(1.0, have / most))
            for have, most in pairs
            if have is not None and most is not None
        )


def part_for(space: Space, task: Task, device: Profile) -> ResidualSpace:
    """The part of a space that a device runs.

    Raises:
        ImpossibleLimitError: there is none, or its memories are too small for all of it.
        InvalidChoiceError: a plugin's type says no operations.
    """
    if isinstance(space, ResidualSpace):
        return _part_for(space, task, device)
    said = f"--device {device.name}"
    raise ImpossibleLimitError(
        f"{said}: it is not known before the export what networks of {space.name} take of a "
        f"device; search without it, and see then: studies.export {said}"
    )


@cache
def _part_for(space: ResidualSpace, task: Task, device: Profile) -> ResidualSpace:
    said = f"--device {device.name}"
    try:
        part = space.on(device.operators, task.channels)
    except UnknownSpaceError as error:
        raise ImpossibleLimitError(f"{said}: {error}") from None
    limits = Limits(device=device)
    # To find the smallest network takes seconds. Where any fits, it is not asked for.
    if all(limits.excess(predict(network, task)) for network in part.uniform()):
        _check_memories(part, task, device)
    return part


def _check_memories(space: ResidualSpace, task: Task, device: Profile) -> None:
    """Raise ImpossibleLimitError if no network fits into one of a device's memories."""

    def flash(architecture: Architecture) -> int:
        return _taken(device, predict(architecture, task)).flash

    def of_layer(conv: Conv, c_in: int, c_out: int, size: Size, stride: int) -> int:
        tally = price(conv, c_in, c_out, size, stride).tally
        assert tally is not None and device.flash is not None  # noqa: S101, PT018 - seen to by `on`
        return device.flash.taken_by(tally.weights * device.number_bytes, tally)

    if device.ram is not None:
        # The records of its operations are left out: a smaller number is told, never a larger one.
        least = space.smallest(task, "activation_memory")
        maps = predict(least, task).activation_memory or 0
        taken = device.ram.taken_by(maps * device.number_bytes / FP32_BYTES, Tally(0, 0, 0))
        _refuse_above(space, device, "RAM", device.ram, taken)
    if device.flash is not None:
        taken = flash(space.least(task, summed(task, of_layer, flash)))
        _refuse_above(space, device, "flash", device.flash, taken)


def _refuse_above(
    space: ResidualSpace, device: Profile, name: str, memory: Memory, taken: int
) -> None:
    if taken > memory.left:
        raise ImpossibleLimitError(
            f"--device {device.name} has {memory.left:,} bytes of {name} for a network, and the "
            f"smallest one of the space {space.name} takes {taken:,}"
        )


def _taken(device: Profile, cost: Cost) -> Taken:
    taken = device.taken_of(cost)
    assert taken is not None  # noqa: S101 - `ResidualSpace.on` refuses types that say too little
    return taken


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
