"""The trainings of one command: those left to do, and the record of results."""

from collections.abc import Iterator
from dataclasses import dataclass

from studies.records.store import Store
from studies.records.tables import Retraining, Study
from studies.retraining.plan import RetrainingPlan, RetrainingTask
from studies.retraining.process_pool import Lost
from studies.retraining.progress import RetrainingProgress
from studies.retraining.training import Trained
from trainers.recipes import Recipe

_PATIENCE_SECONDS = 180.0
"""How long to wait for a database that is away: a finished training must not be lost."""


@dataclass(frozen=True, slots=True)
class Work:
    """The trainings of one command.

    Attributes:
        store: takes the results.
        study: that they belong to.
        plan: of the trainings.
        recipe: how each is trained.
    """

    store: Store
    study: Study
    plan: RetrainingPlan
    recipe: Recipe

    def left(
        self, tasks: list[RetrainingTask], progress: RetrainingProgress
    ) -> Iterator[RetrainingTask]:
        """The tasks, without those that another command has done by the time it is their turn."""
        for task in tasks:
            settled = self.plan.settled(self.store.retrainings(self.study, _PATIENCE_SECONDS))
            progress.others(len(settled))
            if task.identity not in settled:
                yield task

    def record(self, task: RetrainingTask, result: Trained | Lost) -> None:
        """Record a result, unless another command was first."""
        row = Retraining(
            evaluation_id=task.evaluation_id,
            recipe=self.plan.fidelity.recipe,
            epochs=self.plan.fidelity.epochs,
            seed=task.seed,
            versions={},
        )
        if isinstance(result, Lost):
            row.error = result.reason
        else:
            row.device, row.error, row.versions = result.device, result.error, result.versions
            if result.outcome is not None:
                row.val_accuracy = result.outcome.val_accuracy
                answers = result.outcome.answers
                row.answers = None if answers is None else answers.to_json()
                row.train_loss = result.outcome.train_loss
                row.seconds = result.outcome.seconds
        self.store.record_retraining(row, _PATIENCE_SECONDS)
