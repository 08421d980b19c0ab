"""The front drawn anew from fresh seeds, and what the selection had flattered: pure functions.

The most accurate of many noisy numbers is, on average, one that luck has raised: trained again, it
falls back towards its mean. So a member is judged by the mean of its fresh seeds alone. The number
of the search is not averaged in: the member was selected for it, which makes it biased, and more
seeds would only dilute the bias.

What remains is a bias of the images: search and retraining are measured on the same validation
images, so this removes the luck of a seed, not that of fitting these images. An export's test
accuracy is free of both.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nas_space.errors import ConvnasError
from studies.pareto.front import front
from studies.records.tables import Evaluation, Retraining
from trainers.intervals import around_mean


class Fidelity(NamedTuple):
    """How trainings are done: only those of one fidelity are compared."""

    recipe: str
    epochs: int

    def __str__(self) -> str:
        return f"{self.recipe}, {self.epochs} epoch{'s' * (self.epochs != 1)}"


class NotRetrainedError(ConvnasError):
    """A front whose members have no trainings to be compared by; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of independent numbers.

    Attributes:
        value: the mean.
        half: half its 95 % interval (Student's t); None of a single number.
        count: of the numbers.
    """

    value: float
    half: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean | None":
        """The mean of these; None if there are none."""
        if not values:
            return None
        half = float(around_mean(values)) if len(values) > 1 else None
        return cls(statistics.mean(values), half, len(values))

    def apart(self, other: "Mean") -> bool:
        """Whether the intervals of the two do not touch."""
        if self.half is None or other.half is None:
            return False
        return abs(self.value - other.value) > self.half + other.half


@dataclass(frozen=True, slots=True)
class Finalist:
    """A member of the search's front with its trainings of one fidelity.

    Attributes:
        evaluation: the search's.
        accuracy: on validation, over fresh seeds; None if none has finished.
        failed: trainings without an accuracy.
    """

    evaluation: Evaluation
    accuracy: Mean | None
    failed: int

    @property
    def number(self) -> int:
        """The trial's."""
        return self.evaluation.number

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""
        return self.evaluation.macs

    @property
    def cost(self) -> float:
        """What the study makes small."""
        return self.evaluation.cost

    @property
    def params(self) -> int:
        """Weights of the network."""
        return self.evaluation.params

    @property
    def val_accuracy(self) -> float | None:
        """The mean, for fronts and rules of choice."""
        return None if self.accuracy is None else self.accuracy.value

    @property
    def difference(self) -> float | None:
        """Accuracy of the search minus the mean of the fresh seeds."""
        searched = self.evaluation.val_accuracy
        if searched is None or self.accuracy is None:
            return None
        return searched - self.accuracy.value


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the fresh seeds make of a member.

    Attributes:
        stays: whether it is on the front that is drawn anew.
        rival: the best of those with no more cost, which it has to beat; None if there is none.
        clear: whether the intervals of the two do not touch.
    """

    stays: bool
    rival: Finalist | None
    clear: bool


@dataclass(frozen=True)
class RetrainedFront:
    """A front and its members' trainings with fresh seeds.

    Attributes:
        finalists: all members of the search's front, by ascending cost.
        fidelity: of the trainings.
        equal: whether the search had trained its members in just that way.
    """

    finalists: tuple[Finalist, ...]
    fidelity: Fidelity
    equal: bool

    @cached_property
    def front(self) -> list[Finalist]:
        """Those that no other beats in both mean accuracy and cost, by ascending cost."""
        return front(self.finalists)

    def comparison(self, finalist: Finalist) -> Comparison | None:
        """What has become of a member; None if no training of it has finished."""
        if finalist.accuracy is None:
            return None
        cheaper = [f for f in self.finalists if f is not finalist and f.cost <= finalist.cost]
        rivals = front(cheaper)
        stays = any(member is finalist for member in self.front)
        rival = rivals[-1] if rivals else None
        if rival is None or rival.accuracy is None:
            return Comparison(stays, None, clear=True)
        return Comparison(stays, rival, finalist.accuracy.apart(rival.accuracy))

    @property
    def curse(self) -> Mean | None:
        """The winner's curse: accuracy of the search minus that of fresh seeds, over members.

        None where the trainings are not the search's own, for then the difference has other
        reasons as well.
        """
        differences = (finalist.difference for finalist in self.finalists)
        return Mean.of([d for d in differences if d is not None]) if self.equal else None


def retrained_front(
    members: Sequence[Evaluation],
    retrainings: Iterable[Retraining],
    fidelity: Fidelity | None = None,
) -> RetrainedFront:
    """The front of a search, drawn anew from its members' trainings with fresh seeds.

    Args:
        members: the front of a search's complete evaluations.
        retrainings: of the study; those of other networks and with a search's seed do not count.
        fidelity: which of them; None takes the one of most epochs that all members were trained at.

    Raises:
        NotRetrainedError: at no fidelity, or not at this one, all members were trained.
    """
    if not members:
        raise NotRetrainedError("no finished evaluations yet")
    known = {member.id: member for member in members}
    found: dict[Fidelity, dict[int, list[Retraining]]] = {}
    for row in retrainings:
        if row.evaluation_id in known and row.seed != known[row.evaluation_id].seed:
            of_members = found.setdefault(Fidelity(row.recipe, row.epochs), {})
            of_members.setdefault(row.evaluation_id, []).append(row)
    if fidelity is None:
        fidelity = _common(found, len(known))
    rows = found.get(fidelity, {})
    if len(rows) < len(known):
        raise NotRetrainedError(_missing(len(rows), len(known)))
    finalists = (_finalist(member, rows[member.id]) for member in members)
    equal = all((member.recipe, member.epochs) == fidelity for member in members)
    return RetrainedFront(tuple(sorted(finalists, key=lambda f: f.cost)), fidelity, equal)


def means_of(evaluation: Evaluation, rows: Iterable[Retraining]) -> dict[Fidelity, Mean]:
    """The mean accuracies of one network over fresh seeds, by how these were trained."""
    found: dict[Fidelity, list[float]] = {}
    for row in rows:
        fresh = row.evaluation_id == evaluation.id and row.seed != evaluation.seed
        if fresh and row.val_accuracy is not None:
            found.setdefault(Fidelity(row.recipe, row.epochs), []).append(row.val_accuracy)
    means = {fidelity: Mean.of(accuracies) for fidelity, accuracies in sorted(found.items())}
    return {fidelity: mean for fidelity, mean in means.items() if mean is not None}


def _common(found: Mapping[Fidelity, Mapping[int, object]], count: int) -> Fidelity:
    common = [fidelity for fidelity, rows in found.items() if len(rows) == count]
    if not common:
        raise NotRetrainedError(_missing(max(map(len, found.values()), default=0), count))
    return max(common, key=lambda fidelity: (fidelity.epochs, fidelity.recipe))


def _missing(done: int, count: int) -> str:
    return (
        f"of {count} members of the front {done} were trained again: run "
        "python -m studies.finalists first"
    )


def _finalist(member: Evaluation, rows: Iterable[Retraining]) -> Finalist:
    accuracies = [row.val_accuracy for row in rows]
    finished = [accuracy for accuracy in accuracies if accuracy is not None]
    return Finalist(member, Mean.of(finished), len(accuracies) - len(finished))
