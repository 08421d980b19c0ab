"""A function that makes networks, and what its arguments may be."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas_space.errors import error_line
from nas_space.registry import Registry
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.space import UnknownSpaceError

if TYPE_CHECKING:
    from torch import nn

_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
Chosen = tuple[tuple[str, str], ...]
"""A label for each argument, in alphabetical order as in JSON."""


@dataclass(frozen=True)
class Choices:
    """A function that makes networks, and what its arguments may be.

    Attributes:
        function: called with channels, classes, and each argument by its name. It returns a module
            that maps images (N, channels, H, W) to logits (N, classes).
        options: the values of each argument, numbers from small to large.
        by_hand: networks that an engineer would choose without a search, by name: the baselines.
    """

    function: "Callable[..., nn.Module]"
    options: Mapping[str, Sequence[Any]]
    by_hand: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """See whether these are choices.

        Raises:
            UnknownSpaceError: an argument has no list of values; two look alike, or one looks
                different in another process; or a baseline is none of the networks.
        """
        if not all(isinstance(given, Mapping) for given in (self.options, self.by_hand)):
            raise UnknownSpaceError("Choices takes values by argument, and by_hand by name")
        for name, values in self.options.items():
            if not str(name).isidentifier():
                raise UnknownSpaceError(f"{name!r} is no name of an argument")
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise UnknownSpaceError(f"{name} must have a list of values, not {values!r}")
            if any(_ADDRESS.search(str(value)) for value in values):
                raise UnknownSpaceError(f"{name} must have values like numbers and texts")
        for title, hand in self.by_hand.items():
            chosen = tuple(sorted((name, str(value)) for name, value in hand.items()))
            try:
                self.check(chosen)
            except InvalidArchitectureError as error:
                raise UnknownSpaceError(f"by_hand {title!r}: {error}") from None

    @cached_property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The values of each argument as users see them, the arguments in alphabetical order.

        Raises:
            UnknownSpaceError: an argument has no value, or two that look alike.
        """
        found = {name: tuple(map(str, values)) for name, values in sorted(self.options.items())}
        for name, labels in found.items():
            if not labels or len(set(labels)) < len(labels):
                raise UnknownSpaceError(
                    f"the argument {name} must have values, and ones that differ as texts"
                )
        return found

    def is_ordered(self, name: str) -> bool:
        """Whether the values of an argument are numbers."""
        return all(isinstance(value, int | float) for value in self.options[name])

    def place(self, name: str, label: str) -> float:
        """Where a value stands among those of its argument, 0 to 1."""
        labels = self.labels[name]
        return labels.index(label) / max(1, len(labels) - 1)

    def check(self, chosen: Chosen) -> None:
        """Raise InvalidArchitectureError if there are no such choices."""
        if [name for name, _ in chosen] != list(self.labels):
            raise InvalidArchitectureError(
                f"the choices are {', '.join(self.labels)}, not {', '.join(dict(chosen))}"
            )
        for name, label in chosen:
            if label not in self.labels[name]:
                raise InvalidArchitectureError(
                    f"{name} is one of {', '.join(self.labels[name])}, not {label}"
                )

    def make(self, chosen: Chosen, channels: int, classes: int) -> "nn.Module":
        """The module.

        Raises:
            InvalidArchitectureError: there are no such choices, or the function fails.
        """
        from torch import nn  # noqa: PLC0415 - it takes seconds, and the driver does without

        self.check(chosen)
        values = {
            name: self.options[name][self.labels[name].index(label)] for name, label in chosen
        }
        try:
            module = self.function(channels, classes, **values)
        except Exception as error:  # noqa: BLE001 - the function is the user's
            raise InvalidArchitectureError(f"{values}: {error_line(error)}") from None
        if not isinstance(module, nn.Module):
            raise InvalidArchitectureError(
                f"{values} gives a {type(module).__name__}, not a torch.nn.Module"
            )
        return module.float()


CHOICES: Registry[Choices] = Registry(
    "space",
    UnknownSpaceError,
    refusal="there is no space {name} of a function: add the plugin that has it, --plugin MODULE",
    holds=Choices,
)
"""The functions of plugins, by the names of their spaces."""
