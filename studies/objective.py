"""What a study makes small, beside making accuracy large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_space.cli import short
from nas_space.costs.cost import Cost
from nas_space.errors import ConvnasError
from nas_space.registry import Registry, given
from nas_space.spaces.space import Measure

if TYPE_CHECKING:
    # The command line is read without a database.
    from studies.records.tables import Study


class UnknownObjectiveError(ConvnasError):
    """A name that belongs to no objective."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One of a network's costs.

    Attributes:
        name: as users type it.
        heading: over a column or along an axis.
        meaning: for who does not know it.
        write: a value as people read it.
        measure: of a space, where it is a closed form; None where it is predicted from what was
            timed on a device.
    """

    name: str
    heading: str
    meaning: str
    write: Callable[[float], str]
    measure: Measure | None

    @property
    def timed(self) -> bool:
        """Whether a device has to be timed for it."""
        return self.measure is None

    @property
    def column(self) -> str:
        """The attribute of `Cost`, of `Evaluation` and of a search's limits that holds it."""
        return self.name.replace("-", "_")

    def of(self, cost: Cost) -> float:
        """The value that is to be small."""
        value: float = getattr(cost, self.column)
        return value

    @property
    def title(self) -> str:
        """What a front is of."""
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
    """What a study makes small."""
    return OBJECTIVES.get(study.objective)
