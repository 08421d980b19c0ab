"""The trainings that a front needs for means over fresh seeds, and which are left to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from studies.records.tables import Evaluation, Retraining
from studies.retraining.retrained_front import Fidelity


@dataclass(frozen=True, slots=True)
class RetrainingTask:
    """One training.

    Attributes:
        evaluation_id: of the member of the front.
        architecture: its JSON form.
        seed: of weights and data order.
    """

    evaluation_id: int
    architecture: dict[str, Any]
    seed: int

    @property
    def identity(self) -> tuple[int, int]:
        """Identifies it among the tasks of a plan."""
        return self.evaluation_id, self.seed


@dataclass(frozen=True, slots=True)
class RetrainingPlan:
    """The trainings of a front.

    Attributes:
        members: of the front.
        fidelity: how each is trained.
        seeds: how many trainings a member has.
        again: whether to try failed trainings once more.
    """

    members: Sequence[Evaluation]
    fidelity: Fidelity
    seeds: int
    again: bool = False

    @property
    def total(self) -> int:
        """How many trainings the plan has."""
        return len(self.members) * self.seeds

    def seeds_of(self, member: Evaluation) -> range:
        """The fresh seeds of a member: those that follow its seed in the search."""
        return range(member.seed + 1, member.seed + 1 + self.seeds)

    def missing(self, rows: Iterable[Retraining], random: Random) -> list[RetrainingTask]:
        """What is left to train.

        All members get their first seed before any gets its second, so that after an early end all
        means are over about as many seeds.

        Args:
            rows: the trainings so far.
            random: for the order of members. Commands that run at once should differ in it: then
                they mostly do different trainings.
        """
        settled = self.settled(rows)
        tasks = [
            RetrainingTask(member.id, member.architecture, self.seeds_of(member)[turn])
            for turn in range(self.seeds)
            for member in random.sample(self.members, len(self.members))
        ]
        return [task for task in tasks if task.identity not in settled]

    def settled(self, rows: Iterable[Retraining]) -> set[tuple[int, int]]:
        """Identities of the tasks that need not be done any more."""
        return {
            (row.evaluation_id, row.seed)
            for row in self._mine(rows)
            if row.val_accuracy is not None or not self.again
        }

    def failed(self, rows: Iterable[Retraining]) -> list[Retraining]:
        """The failed trainings of this plan."""
        return [row for row in self._mine(rows) if row.val_accuracy is None]

    def _mine(self, rows: Iterable[Retraining]) -> list[Retraining]:
        seeds = {member.id: self.seeds_of(member) for member in self.members}
        return [
            row
            for row in rows
            if (row.recipe, row.epochs) == self.fidelity
            and row.seed in seeds.get(row.evaluation_id, ())
        ]
