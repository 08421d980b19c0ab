"""The objectives: a study makes accuracy large and one of these costs small."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_space.cli import short
from nas_space.costs.cost import Cost
from nas_space.errors import ConvnasError
from nas_space.registry import Registry, given
from nas_space.spaces.space import Measure

if TYPE_CHECKING:
    # Reading the command line must not import the database.
    from studies.records.tables import Study


class UnknownObjectiveError(ConvnasError):
    """An unknown name of an objective."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One of a network's costs.

    Attributes:
        name: as users type it.
        heading: of a column or an axis.
        meaning: in a few words, for those who do not know it.
        write: formats a value for people.
        measure: of a space, if it has a closed form; None if it is predicted from times on a
            device.
    """

    name: str
    heading: str
    meaning: str
    write: Callable[[float], str]
    measure: Measure | None

    @property
    def timed(self) -> bool:
        """Whether it needs times of a device."""
        return self.measure is None

    @property
    def column(self) -> str:
        """The attribute of `Cost`, of `Evaluation` and of a search's limits for it."""
        return self.name.replace("-", "_")

    def of(self, cost: Cost) -> float:
        """The value to make small."""
        value: float = getattr(cost, self.column)
        return value

    @property
    def title(self) -> str:
        """The title of a front."""
        return f"validation accuracy against {self.heading}"


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
    found=lambda: (given(objective.name, objective, __name__) for objective in _OURS),
)
"""The objectives by name."""


def of(study: "Study") -> Objective:
    """The objective of a study."""
    return OBJECTIVES.get(study.objective)
