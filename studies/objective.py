"""The objectives: a study makes accuracy large and one of these costs small."""

import argparse
import contextlib
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from nas_space.cli import quantity, seconds, short
from nas_space.costs.cost import Cost, Task
from nas_space.errors import ConvnasError, error_line
from nas_space.registry import Registry, given
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.space import Measure
from trainers.evaluators import metric
from trainers.metrics import Metric, number
from trainers.recipes import DEFAULT_METRIC

if TYPE_CHECKING:
    # Reading the command line must not import the database.
    from studies.records.tables import Study


_KNOWN = frozenset(field.name for field in fields(Cost))
"""Costs that every network has, without a plugin."""
_NAME = re.compile(r"[\w-]{1,32}")
"""What the database can keep, and --limit can read."""
Price = Callable[[Architecture, Task], float]
"""What a network costs, for such images: a number above 0."""


class UnknownObjectiveError(ConvnasError):
    """An unknown name of an objective, or one that gives no cost."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One of a network's costs.

    Attributes:
        name: as users type it.
        heading: of a column or an axis.
        meaning: in a few words, for those who do not know it.
        write: formats a value for people.
        measure: of a space whose least and most it knows; None if it has no such closed form.
        price: of an objective from outside of convnas, see `Price`.
    """

    name: str
    heading: str
    meaning: str
    write: Callable[[float], str]
    measure: Measure | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        """See whether it can be recorded.

        Raises:
            UnknownObjectiveError: it has no price, or a name that is too long.
        """
        if self.price is None and self.column not in _KNOWN:
            raise UnknownObjectiveError(
                f"the objective {self.name} has no price: the function that says what a network "
                "costs"
            )
        if not _NAME.fullmatch(self.name):
            raise UnknownObjectiveError(
                f"the objective {self.name!r} must have a name of 1 to 32 letters, digits, - and _"
            )

    @property
    def timed(self) -> bool:
        """Whether it needs times of a device."""
        return self.measure is None and self.price is None

    @property
    def column(self) -> str:
        """The attribute of `Cost`, `Evaluation` and a search's limits, if it has one there."""
        return self.name.replace("-", "_")

    def of(self, cost: Cost) -> float:
        """The value to make small."""
        value: float = getattr(cost, self.column) if self.price is None else cost.more[self.name]
        return value

    def read(self, text: str) -> float:
        """A value as users type it: 5M, 300us, or of a plugin's objective 0.5 too.

        Raises:
            argparse.ArgumentTypeError: it is none.
        """
        if self.price is not None:
            with contextlib.suppress(ValueError):
                if 0 < (value := float(text)) < math.inf:
                    return value
        return seconds(text) if self.timed else quantity(text)

    def priced(self, architecture: Architecture, task: Task) -> float:
        """What `price` gives.

        Raises:
            UnknownObjectiveError: it fails, or gives no number above 0.
        """
        assert self.price is not None  # noqa: S101 - only such objectives are asked
        try:
            found = self.price(architecture, task)
        except Exception as error:  # noqa: BLE001 - the function is a plugin's
            raise UnknownObjectiveError(
                f"the objective {self.name} fails for {architecture} ({error_line(error)})"
            ) from None
        value = number(found)
        if not (math.isfinite(value) and value > 0):
            raise UnknownObjectiveError(
                f"the objective {self.name} gives {found!r} for {architecture}: it must be a "
                "number above 0"
            )
        return value

    def rule(self, target: float | None) -> str:
        """The option of an export that means the network which a search was about.

        Args:
            target: the cost that it was about; None is all costs.
        """
        if target is None or self.column not in ("macs", "params"):
            return "--knee"
        return f"--max-{self.column} {target:.0f}"

    def title(self, metric: Metric) -> str:
        """The title of a front of which `metric` was made large."""
        return f"validation {metric.name} against {self.heading}"


MACS = Objective("macs", "MACs", "multiply-adds per image, the papers' FLOPs", short, "macs")

_OURS = (
    MACS,
    Objective("params", "parameters", "numbers that are trained", short, "params"),
    Objective(
        "activation-memory",
        "activation memory",
        "bytes of feature maps alive at once while one image is answered in fp32",
        lambda value: f"{short(value)}B",
        "activation_memory",
    ),
    Objective(
        "latency",
        "latency",
        "predicted time for a batch, of one image unless the search says another",
        lambda value: f"{1000 * value:.3g} ms",
        None,
    ),
)

OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    UnknownObjectiveError,
    refusal="unknown objective {name}; known objectives: {names}, and those of plugins: --plugin "
    "MODULE",
    found=lambda: (given(objective.name, objective, __name__) for objective in _OURS),
    holds=Objective,
)
"""The objectives by name."""


def metric_of(study: "Study") -> Metric:
    """What a study makes large."""
    return metric(study.recipe.get("evaluate"), study.recipe.get("metric", DEFAULT_METRIC))


def target_of(study: "Study") -> float | None:
    """The cost that the search of a study was about, by its command; None is all costs."""
    target = option(study, "--target")
    try:
        return None if target is None else of(study).read(target)
    except argparse.ArgumentTypeError:
        return None


def option(study: "Study", name: str) -> str | None:
    """What the command of a search said after an option; None if it did not."""
    try:
        words = shlex.split(study.command.replace(f"{name}=", f"{name} "))
        return words[words.index(name) + 1]
    except (ValueError, IndexError):
        return None


def of(study: "Study") -> Objective:
    """The objective of a study."""
    return OBJECTIVES.get(study.objective)
