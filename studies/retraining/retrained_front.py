"""The front computed again from fresh seeds, and the bias of the selection: pure functions.

The best of many noisy accuracies was usually raised by luck: trained again, the network falls back
towards its mean. So only the mean over fresh seeds judges a member. The accuracy of the search is
not part of this mean: the member was selected for it, so it is biased, and more seeds would only
dilute the bias.

A bias of the images remains: search and retraining use the same validation images, so this removes
the luck of a seed, not that of fitting these images. An export's test accuracy has neither bias.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nas_space.cli import counted
from nas_space.errors import ConvnasError
from nas_space.programs import program
from studies.pareto.front import front
from studies.records.tables import Evaluation, Retraining
from trainers.data.balance import Answers
from trainers.intervals import around_mean


class Fidelity(NamedTuple):
    """How a training is done; only trainings of one fidelity are compared."""

    recipe: str
    epochs: int

    def __str__(self) -> str:
        return f"{self.recipe}, {counted(self.epochs, 'epoch')}"


class NotRetrainedError(ConvnasError):
    """A front without trainings by which to compare its members; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of independent numbers.

    Attributes:
        value: the mean.
        half: half its 95 % interval (Student's t); None for a single number.
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
        """Whether the intervals of the two do not overlap."""
        if self.half is None or other.half is None:
            return False
        return abs(self.value - other.value) > self.half + other.half


@dataclass(frozen=True, slots=True)
class Finalist:
    """A member of the search's front with its trainings of one fidelity.

    Attributes:
        evaluation: of the search.
        accuracy: on validation, over fresh seeds; None if none has finished.
        failed: trainings without an accuracy.
        answers: of each training of which they are known, see `Retraining`.
    """

    evaluation: Evaluation
    accuracy: Mean | None
    failed: int
    answers: tuple[Answers, ...] = ()

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.evaluation.number

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""
        return self.evaluation.macs

    @property
    def cost(self) -> float:
        """The cost that the study makes small."""
        return self.evaluation.cost

    @property
    def params(self) -> int:
        """Weights of the network."""
        return self.evaluation.params

    @property
    def val_accuracy(self) -> float | None:
        """The mean accuracy, for fronts and rules."""
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
    """How a member does with fresh seeds.

    Attributes:
        stays: whether it is on the new front.
        rival: the most accurate of those with no more cost; None if there is none.
        clear: whether the intervals of the two do not overlap.
    """

    stays: bool
    rival: Finalist | None
    clear: bool


@dataclass(frozen=True)
class RetrainedFront:
    """A front and its members' trainings with fresh seeds.

    Attributes:
        finalists: all members of the search's front, and others that were trained, too, by
            ascending cost.
        fidelity: of the trainings.
        equal: whether the search trained its members at the same fidelity.
    """

    finalists: tuple[Finalist, ...]
    fidelity: Fidelity
    equal: bool

    @cached_property
    def front(self) -> list[Finalist]:
        """The new front, by mean accuracy and ascending cost."""
        return front(self.finalists)

    def comparison(self, finalist: Finalist) -> Comparison | None:
        """How a member does; None if no training of it has finished."""
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

        None if the trainings have another fidelity than the search: then the difference has other
        reasons too.
        """
        differences = (finalist.difference for finalist in self.finalists)
        return Mean.of([d for d in differences if d is not None]) if self.equal else None


def retrained_front(
    members: Sequence[Evaluation],
    retrainings: Iterable[Retraining],
    fidelity: Fidelity | None = None,
    others: Sequence[Evaluation] = (),
) -> RetrainedFront:
    """The front of a search, computed again from trainings of its members with fresh seeds.

    Args:
        members: the front of a search's complete evaluations.
        retrainings: of the study; those of other networks, or with a search's seed, do not count.
        fidelity: of the trainings; None takes the one with most epochs that all members have.
        others: that may be better than members; they count if they were trained, too.

    Raises:
        NotRetrainedError: there is no fidelity, or not this one, at which all members were trained.
    """
    if not members:
        raise NotRetrainedError("no finished evaluations yet")
    known = {member.id: member for member in (*members, *others)}
    found: dict[Fidelity, dict[int, list[Retraining]]] = {}
    for row in retrainings:
        if row.evaluation_id in known and row.seed != known[row.evaluation_id].seed:
            of_members = found.setdefault(Fidelity(row.recipe, row.epochs), {})
            of_members.setdefault(row.evaluation_id, []).append(row)
    if fidelity is None:
        fidelity = _common(found, members)
    rows = found.get(fidelity, {})
    if _done(rows, members) < len(members):
        raise NotRetrainedError(_missing(_done(rows, members), len(members)))
    finalists = (_finalist(known[key], of_member) for key, of_member in rows.items())
    equal = all((member.recipe, member.epochs) == fidelity for member in members)
    return RetrainedFront(tuple(sorted(finalists, key=lambda f: f.cost)), fidelity, equal)


def means_of(evaluation: Evaluation, rows: Iterable[Retraining]) -> dict[Fidelity, Mean]:
    """The mean accuracies of one network over fresh seeds, by fidelity."""
    found: dict[Fidelity, list[float]] = {}
    for row in rows:
        fresh = row.evaluation_id == evaluation.id and row.seed != evaluation.seed
        if fresh and row.val_accuracy is not None:
            found.setdefault(Fidelity(row.recipe, row.epochs), []).append(row.val_accuracy)
    means = {fidelity: Mean.of(accuracies) for fidelity, accuracies in sorted(found.items())}
    return {fidelity: mean for fidelity, mean in means.items() if mean is not None}


def _common(
    found: Mapping[Fidelity, Mapping[int, object]], members: Sequence[Evaluation]
) -> Fidelity:
    done = {fidelity: _done(rows, members) for fidelity, rows in found.items()}
    common = [fidelity for fidelity, count in done.items() if count == len(members)]
    if not common:
        raise NotRetrainedError(_missing(max(done.values(), default=0), len(members)))
    return max(common, key=lambda fidelity: (fidelity.epochs, fidelity.recipe))


def _done(rows: Mapping[int, object], members: Sequence[Evaluation]) -> int:
    """How many of the members were trained."""
    return sum(member.id in rows for member in members)


def _missing(done: int, count: int) -> str:
    return (
        f"of {count} members of the front {done} were trained again: run "
        f"{program('studies.finalists')} first"
    )


def _finalist(member: Evaluation, rows: Sequence[Retraining]) -> Finalist:
    accuracies = [row.val_accuracy for row in rows]
    finished = [accuracy for accuracy in accuracies if accuracy is not None]
    known = (row.parsed_answers for row in rows)
    answers = tuple(each for each in known if each is not None)
    return Finalist(member, Mean.of(finished), len(accuracies) - len(finished), answers)
