"""A network of a user's function: the choices that it was made with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

from nas_space.convs.base import Size
from nas_space.costs.cost import Cost, Task
from nas_space.errors import error_line
from nas_space.spaces.architecture import (
    FORMAT,
    Architecture,
    InvalidArchitectureError,
    Layer,
    Rest,
)
from nas_space.spaces.choices.choices import CHOICES, Choices, Chosen

_KEPT = 2**16
"""Costs that are kept: to count one takes milliseconds."""


@dataclass(frozen=True, slots=True)
class ChoiceArchitecture(Architecture):
    """A network of a function.

    Attributes:
        space: the name of its space, by which the function is found.
        chosen: a label for each argument of the function.
    """

    skeleton: ClassVar[str] = "choices"
    legend: ClassVar[str] = "space: the choices"

    space: str
    chosen: Chosen

    @property
    def choices(self) -> Choices:
        """The function, and what may be chosen.

        Raises:
            UnknownSpaceError: it belongs to a plugin that is not loaded.
        """
        return CHOICES.get(self.space)

    def layers(self) -> Iterator[Layer]:
        """None: the function's convolutions are no choices of their own."""
        return iter(())

    def sizes(self, size: Size) -> Iterator[tuple[Layer, Size]]:  # noqa: ARG002 - it has no layers
        """See `layers`."""
        return iter(())

    def convolutions(self, size: Size) -> Iterator[tuple[Layer, Size]]:  # noqa: ARG002 - as above
        """See `layers`."""
        return iter(())

    def sections(self) -> Iterator[tuple[Layer, ...]]:
        """See `layers`."""
        return iter(())

    def beginning(self) -> tuple[float, ...]:
        """The place of each number among those it is chosen from; for other choices which it is."""
        choices, found = self.choices, list[float]()
        for name, label in self.chosen:
            if choices.is_ordered(name):
                found.append(choices.place(name, label))
            else:
                found += [float(label == other) for other in choices.labels[name]]
        return tuple(found)

    def dimensions(self) -> dict[str, str]:
        """All that is chosen."""
        return dict(self.chosen)

    def rest(self, task: Task) -> Rest:
        """The whole network."""
        cost = self.cost(task)
        channels = (task.channels, task.classes)
        return Rest(f"network of {self.space}", "as chosen", channels, cost.macs, cost.params)

    def cost(self, task: Task) -> Cost:
        """Counted: the network is made, without memory for its weights."""
        return _counted(self.space, self.chosen, task)

    def check(self, channels: int, classes: int) -> None:  # noqa: ARG002 - the function's affair
        """See whether there are such choices."""
        self.choices.check(self.chosen)

    def to_json(self) -> dict[str, Any]:
        """The choices by name."""
        return {
            "format": FORMAT,
            "skeleton": self.skeleton,
            "space": self.space,
            "choices": dict(self.chosen),
        }

    @property
    def by_hand(self) -> str | None:
        """See `Architecture.by_hand`."""
        if self.space not in CHOICES:
            return None
        for name, values in self.choices.by_hand.items():
            if {key: str(value) for key, value in values.items()} == dict(self.chosen):
                return name
        return None

    def __str__(self) -> str:
        """A line a person can read."""
        return f"{self.space}: {', '.join(f'{name}={label}' for name, label in self.chosen)}"

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """See `Architecture.read`."""
        if data.keys() != {"format", "skeleton", "space", "choices"}:
            raise InvalidArchitectureError("a network of choices has a space and choices")
        space, chosen = data["space"], data["choices"]
        if not isinstance(space, str) or not isinstance(chosen, dict):
            raise InvalidArchitectureError("a space is text, and choices are labels by name")
        if not all(isinstance(text, str) for pair in chosen.items() for text in pair):
            raise InvalidArchitectureError("a choice is text")
        return cls(space, tuple(sorted(chosen.items())))


@lru_cache(_KEPT)
def _counted(space: str, chosen: Chosen, task: Task) -> Cost:
    import torch  # noqa: PLC0415 - it takes seconds, and is needed for these spaces alone

    from nas_space.costs.counting import count  # noqa: PLC0415 - as above

    with torch.random.fork_rng(devices=()), torch.device("meta"):
        module = CHOICES.get(space).make(chosen, task.channels, task.classes)
    try:
        return count(module, (task.channels, *task.size))
    except Exception as error:  # noqa: BLE001 - the function is the user's
        image = "×".join(map(str, (task.channels, *task.size)))
        raise InvalidArchitectureError(
            f"{ChoiceArchitecture(space, chosen)} fails for an image of {image}: "
            f"{error_line(error)}"
        ) from None
