"""How the front of a search grew with training: hypervolume over epochs."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.pareto.front import front
from studies.pareto.hypervolume import hypervolume
from studies.records.tables import Evaluation, Status


@dataclass(frozen=True, slots=True)
class Step:
    """A moment at which the front grew.

    Attributes:
        spent: epochs of all trainings so far, counted in full trainings.
        hypervolume: from then on.
    """

    spent: float
    hypervolume: float


def course(
    evaluations: Sequence[Evaluation], full: int, box: tuple[float, float], floor: float = 0.0
) -> tuple[Step, ...]:
    """The steps of a search, and its end.

    Args:
        evaluations: in the order in which they were recorded.
        full: epochs of a full training; only these can be on the front, but all are paid for.
        box: see `studies.pareto.hypervolume.hypervolume`.
        floor: see there, too.
    """
    steps, best, spent = [Step(0.0, 0.0)], list[Evaluation](), 0
    for entry in evaluations:
        if entry.status is not Status.FINISHED:
            continue
        spent += entry.trained
        if entry.epochs >= full:
            best = front([*best, entry])
            if any(member is entry for member in best):
                steps.append(Step(spent / full, hypervolume(best, box, floor)))
    return (*steps, Step(spent / full, steps[-1].hypervolume))
