"""What is stored: studies, evaluations, weights and measurements on the test split."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, case, delete, func, select
from sqlalchemy.orm import Session, defer, make_transient

from studies.objective import metric_of
from studies.pareto.front import front, near_front, ranked
from studies.records.database import Database, StoreError
from studies.records.differences import differences, same_images, same_recipe, same_space
from studies.records.fidelity import complete
from studies.records.tables import (
    Checkpoint,
    Claim,
    Evaluation,
    Export,
    Retraining,
    Status,
    Study,
    Weights,
)
from studies.records.validation import InvalidRowError, validated
from trainers.evaluators import by_recipe

Judged = TypeVar("Judged", Evaluation, Retraining, Export)

_MOST_CHECKPOINTS = 32
"""Kept for each rung of a study: those of the best networks that have not gone up."""
_KEPT_BELOW_FRONT = 0.03
"""How far below the front of measured accuracies weights are kept: what a model of all trainings
expects to be best is seldom farther below."""


class Store:
    """Our tables in one database.

    Args:
        url: an SQLAlchemy URL. A missing SQLite file is made only if `create` says so.
        create: True for a search, which may create a database; False for a reader.
        on_wait: see `Database`.

    Raises:
        StoreError: the URL is malformed, or the database cannot be opened.
    """

    def __init__(
        self, url: str, *, create: bool = False, on_wait: Callable[[str], None] | None = None
    ) -> None:
        self.database = Database(url, create=create, on_wait=on_wait)

    @property
    def shown_url(self) -> str:
        """Where the database is, without a password."""
        return self.database.shown_url

    def studies(self) -> list[tuple[Study, int, int]]:
        """Every study with its numbers of finished and failed evaluations, oldest first."""
        finished, failed = (
            func.count(case((Evaluation.status == status, 1)))  # MariaDB has no FILTER
            for status in (Status.FINISHED, Status.FAILED)
        )
        # JSON columns cannot be grouped by on every database: group by the key alone.
        counts = (
            select(Evaluation.study_id, finished.label("finished"), failed.label("failed"))
            .group_by(Evaluation.study_id)
            .subquery()
        )
        query = (
            select(Study, func.coalesce(counts.c.finished, 0), func.coalesce(counts.c.failed, 0))
            .outerjoin(counts, counts.c.study_id == Study.id)
            .order_by(Study.id)
        )
        return self.database.read(
            lambda session: [
                (validated(row), done, bad) for row, done, bad in session.execute(query)
            ]
        )

    def study(self, name: str | None) -> Study:
        """The study of that name; without a name, the only study.

        Raises:
            StoreError: there is no such study, or there is no name and more than one.
        """
        found = [study for study, _, _ in self.studies()]
        if not found:
            raise StoreError(f"no study in {self.shown_url} yet: run a search first")
        names = ", ".join(study.name for study in found)
        if name is None:
            if len(found) > 1:
                raise StoreError(f"{self.shown_url} holds several studies, say --study: {names}")
            return found[0]
        for study in found:
            if study.name == name:
                return study
        raise StoreError(f"no study {name!r} in {self.shown_url}; it holds: {names}")

    def enter(self, study: Study) -> Study:
        """The stored study of the same name; if there is none, this one is stored.

        Raises:
            StoreError: the stored one has another space, data set, recipe or objective.
        """
        try:
            stored = self.database.write(lambda session: _entered(session, study))
        except StoreError:
            # Another search may have entered it meanwhile; any other problem makes it fail again.
            stored = self.database.write(lambda session: _entered(session, study))
        how_to_ask = {"space": same_space, "data set": same_images, "recipe": same_recipe}
        for what, how in differences(stored, study).items():
            ask = how_to_ask.get(what)
            same = "the same one" if ask is None else ask(stored, study)
            raise StoreError(
                f"study {study.name!r} has another {what} ({how}); continue it with {same}, "
                "or give this search another --study name"
            )
        return stored

    def count(self, study: Study) -> int:
        """How many evaluations a study has, failed ones too."""
        query = select(func.count()).where(Evaluation.study_id == study.id)
        return self.database.read(lambda session: session.scalar(query)) or 0

    def evaluations(self, study: Study, after: int = 0, patience: float = 0.0) -> list[Evaluation]:
        """All evaluations of a study, by number.

        Args:
            study: as stored.
            after: only evaluations with an id above this.
            patience: see `Database.read`.
        """
        query = select(Evaluation).where(Evaluation.study_id == study.id, Evaluation.id > after)
        ordered = query.order_by(Evaluation.number)
        return self.database.read(
            lambda session: [_of(study, row) for row in session.scalars(ordered)], patience
        )

    def front(self, study: Study) -> list[Evaluation]:
        """The Pareto front of a study's full trainings, by ascending cost."""
        return front(complete(self.evaluations(study), study))

    def record(
        self,
        evaluation: Evaluation,
        weights: Callable[[], bytes] | None = None,
        patience: float = 0.0,
        checkpoint: bytes | None = None,
    ) -> bool:
        """Write one evaluation, and its weights if it is on the front, in one transaction.

        It gets the study's next number. The claim on its architecture is deleted, and so are the
        checkpoint that it continued from and weights of evaluations that it pushes off the front.

        Args:
            evaluation: to be written.
            weights: gives its weights in safetensors form, if it is complete.
            patience: see `Database.write`.
            checkpoint: from which it may continue, if it is partial.

        Returns:
            False if nothing was written, because the architecture has finished at this fidelity
            already, or has failed as it does here: a driver that seemed dead may come back with a
            result that another driver has recorded since.

        Raises:
            StoreError: it could not be written; nothing was.
            InvalidRowError: a value is none, as NaN is no accuracy; nothing would read the row.
        """
        validated(evaluation, new=True)
        first = True

        def work(session: Session) -> bool:
            nonlocal first
            again, first = not first, False
            lock(session, evaluation.study_id)
            there = session.scalars(
                select(Evaluation.status).where(
                    Evaluation.study_id == evaluation.study_id,
                    Evaluation.key == evaluation.key,
                    Evaluation.epochs == evaluation.epochs,
                )
            ).all()
            session.execute(delete(Claim).where(*_same_work(evaluation)))
            if again and evaluation.status in there:
                return True  # an earlier attempt was committed although its answer was lost
            if Status.FINISHED in there or evaluation.status in there:
                return False
            _add(session, evaluation, weights, checkpoint)
            return True

        return self.database.write(work, patience)

    def weights(self, evaluation: Evaluation) -> bytes | None:
        """The trained weights in safetensors form; None if they were not kept."""
        query = select(Weights.data).where(Weights.evaluation_id == evaluation.id)
        return self.database.read(lambda session: session.scalar(query))

    def with_weights(self, study: Study) -> set[int]:
        """The ids of the evaluations whose weights were kept."""
        query = select(Evaluation.id).join(Weights).where(Evaluation.study_id == study.id)
        return self.database.read(lambda session: set(session.scalars(query)))

    def checkpoint(
        self, study: Study, key: str, epochs: int, patience: float = 0.0
    ) -> bytes | None:
        """The state of a training after that many epochs; None if it is not kept."""
        query = (
            select(Checkpoint.data)
            .join(Evaluation)
            .where(
                Evaluation.study_id == study.id,
                Evaluation.key == key,
                Evaluation.epochs == epochs,
            )
        )
        return self.database.read(lambda session: session.scalar(query), patience)

    def record_export(self, export: Export) -> None:
        """Record one measurement on the test split.

        Raises:
            StoreError: it could not be written.
            InvalidRowError: see `record`.
        """
        validated(export)
        self.database.write(lambda session: session.add(export))

    def exports(self, study: Study) -> list[Export]:
        """All measurements of a study on the test split, oldest first."""
        query = (
            select(Export)
            .join(Evaluation)
            .where(Evaluation.study_id == study.id)
            .order_by(Export.id)
        )
        return self.database.read(
            lambda session: [_of(study, row) for row in session.scalars(query)]
        )

    def retrainings(self, study: Study, patience: float = 0.0) -> list[Retraining]:
        """All trainings of a study's networks with fresh seeds, oldest first."""
        query = (
            select(Retraining)
            .join(Evaluation)
            .where(Evaluation.study_id == study.id)
            .order_by(Retraining.id)
        )
        return self.database.read(
            lambda session: [_of(study, row) for row in session.scalars(query)], patience
        )

    def record_retraining(self, retraining: Retraining, patience: float = 0.0) -> bool:
        """Write one training with a fresh seed; it replaces one that failed before.

        Args:
            retraining: to be written.
            patience: see `Database.write`.

        Returns:
            False if nothing was written, because this training has been done already.

        Raises:
            StoreError: it could not be written; nothing was.
            InvalidRowError: see `record`.
        """
        validated(retraining)

        def work(session: Session) -> bool:
            # If two commands did the same training, the second waits here for the first.
            evaluation = select(Evaluation.id).where(Evaluation.id == retraining.evaluation_id)
            session.execute(evaluation.with_for_update())
            there = session.scalar(
                select(Retraining).where(
                    Retraining.evaluation_id == retraining.evaluation_id,
                    Retraining.recipe == retraining.recipe,
                    Retraining.epochs == retraining.epochs,
                    Retraining.seed == retraining.seed,
                )
            )
            if there is not None:
                if there.val_accuracy is not None or retraining.val_accuracy is None:
                    return False
                session.delete(there)
                session.flush()
            _insert(session, retraining)
            return True

        return self.database.write(work, patience)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def _of(study: Study, row: Judged) -> Judged:
    """A row of a study, if all its values are valid, and its accuracy is what the study measures.

    Raises:
        InvalidRowError: they are not.
    """
    value: float | None = validated(row).val_accuracy
    if value is not None and not metric_of(study).holds(value):
        raise InvalidRowError(f"a row of {row.__tablename__} has {value} as its val_accuracy")
    return row


def _entered(session: Session, study: Study) -> Study:
    """The stored study of that name; if there is none, this one is stored."""
    stored = session.scalar(select(Study).where(Study.name == study.name))
    if stored is not None:
        return validated(stored)
    _insert(session, study)
    return study


def _insert(session: Session, row: Study | Evaluation | Retraining) -> None:
    """Add a row, even if an earlier attempt with it was rolled back."""
    make_transient(row)
    row.id = None  # type: ignore[assignment] # the database gives it
    session.add(row)
    session.flush()


def lock(session: Session, study_id: int) -> None:
    """Keep others from writing evaluations and claims of a study until the transaction ends."""
    # SQLite has only one writer at a time, and no FOR UPDATE.
    session.execute(select(Study.id).where(Study.id == study_id).with_for_update())


def _same_work(evaluation: Evaluation) -> tuple[ColumnElement[bool], ...]:
    return (
        Claim.study_id == evaluation.study_id,
        Claim.key == evaluation.key,
        Claim.epochs == evaluation.epochs,
    )


def _add(
    session: Session,
    evaluation: Evaluation,
    weights: Callable[[], bytes] | None,
    checkpoint: bytes | None,
) -> None:
    last = session.scalar(
        select(func.max(Evaluation.number)).where(Evaluation.study_id == evaluation.study_id)
    )
    evaluation.number = 0 if last is None else last + 1
    _insert(session, evaluation)
    _drop_checkpoints(session, _others(evaluation).where(Evaluation.epochs < evaluation.epochs))
    if weights is not None:
        _keep_weights(session, evaluation, weights)
    if checkpoint is not None:
        _keep_checkpoint(session, evaluation, checkpoint)


def _others(evaluation: Evaluation) -> Select[int]:
    """The evaluations of the same architecture."""
    return select(Evaluation.id).where(
        Evaluation.study_id == evaluation.study_id, Evaluation.key == evaluation.key
    )


def _drop_checkpoints(session: Session, of: Select[int] | list[int]) -> None:
    session.execute(delete(Checkpoint).where(Checkpoint.evaluation_id.in_(of)))


def _keep_checkpoint(session: Session, evaluation: Evaluation, checkpoint: bytes) -> None:
    """Keep it, and drop those of its rung that are least likely to go up."""
    kept = session.scalars(
        select(Evaluation)
        .join(Checkpoint, Checkpoint.evaluation_id == Evaluation.id)
        .where(Evaluation.study_id == evaluation.study_id, Evaluation.epochs == evaluation.epochs)
        .options(defer(Evaluation.architecture), defer(Evaluation.versions))
    )
    best = ranked([*kept, evaluation])
    session.add(Checkpoint(evaluation_id=evaluation.id, data=checkpoint))
    session.flush()
    _drop_checkpoints(session, [worse.id for worse in best[_MOST_CHECKPOINTS:]])


def _keep_weights(session: Session, evaluation: Evaluation, weights: Callable[[], bytes]) -> None:
    kept = session.scalars(
        select(Evaluation)
        .join(Weights, Weights.evaluation_id == Evaluation.id)
        .where(Evaluation.study_id == evaluation.study_id)
        .options(defer(Evaluation.architecture), defer(Evaluation.versions))
    ).all()
    # Numbers other than shares may be of any size: what lies near the front is not known.
    below = _KEPT_BELOW_FRONT if by_recipe(evaluation.recipe).is_share else 0.0
    best = near_front([*kept, evaluation], below)
    if evaluation not in best:
        return
    session.add(Weights(evaluation_id=evaluation.id, data=weights()))
    keep = [member.id for member in best]
    mine = select(Evaluation.id).where(Evaluation.study_id == evaluation.study_id)
    session.execute(
        delete(Weights).where(Weights.evaluation_id.in_(mine), Weights.evaluation_id.not_in(keep))
    )
