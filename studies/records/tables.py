"""Our tables, next to Optuna's in the same database.

Their names start with ``nas_``; Optuna owns ``studies``, ``trials`` and the like. A change here
needs a migration in `studies.records.migrations`, and a test compares the two.
"""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import DateTime, Double, Enum, String, Text

from nas_space.errors import ConvnasError
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.skeletons import read_architecture
from trainers.data.balance import Answers

_NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}


class Status(enum.Enum):
    """How an evaluation ended."""

    FINISHED = "finished"
    FAILED = "failed"


class Base(DeclarativeBase):
    """Declarative base of our tables."""

    metadata = MetaData(naming_convention=_NAMING)


def _now() -> datetime:
    return datetime.now(UTC)


class Study(Base):
    """A space, searched on a data set with a recipe.

    Attributes:
        space: name and parameters of the space.
        dataset: name, options, fingerprint, classes, shape, mean and std of the data set.
        recipe: every field of the recipe.
        objective: the cost that it makes small, see `studies.objective`.
        objective_device: where that cost was timed, if it is a time.
        device: the profile that its networks are for, see `nas_space.devices`; None is any.
        command: the command line that created it.
    """

    __tablename__ = "nas_studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    space: Mapped[dict[str, Any]] = mapped_column(JSON)
    dataset: Mapped[dict[str, Any]] = mapped_column(JSON)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    objective: Mapped[str] = mapped_column(String(32), default="macs", server_default="macs")
    objective_device: Mapped[str | None] = mapped_column(Text)
    device: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    command: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class _Answered:
    """A row that has the answers of a network."""

    answers: Mapped[dict[str, Any] | None]

    @property
    def parsed_answers(self) -> Answers | None:
        """Its answers, class by class; None if they are not known."""
        return None if self.answers is None else Answers.from_json(self.answers)


class _Balanced(_Answered):
    """One that had, before it had answers, a mean over the classes."""

    balanced_accuracy: Mapped[float | None]

    @property
    def balanced(self) -> float | None:
        """Mean over the classes of the share of images that is classified right."""
        found = self.parsed_answers
        return self.balanced_accuracy if found is None else found.balanced


class Evaluation(_Balanced, Base):
    """One architecture at one fidelity with one seed: numbers, or the reason of a failure.

    Attributes:
        number: the trial's number within its study, from 0.
        key: of the architecture.
        architecture: its JSON form.
        space: name of the space it was proposed from.
        seed: of weights and data order.
        epochs: its fidelity: how long it was trained. With fewer than the study's recipe has it is
            partial: its accuracy was measured while the learning rate was still high.
        start: how many of these it did not train, because it continued from a checkpoint.
        cost: the objective's cost: one of the numbers that follow, or of `costs`.
        macs: multiply-adds per image (the papers' FLOPs).
        activation_memory: bytes, see `nas_space.spaces.residual.memory`; None in older rows.
        latency: predicted seconds for a batch, usually of one image; None if the search measured no
            device.
        latency_device: that this was predicted for: processor, threads, torch; or the command; and
            the batch if it is not one image.
        costs: those of plugins' objectives, by name; None in older rows.
        val_accuracy: on the validation split, or the number that stands in its place, see
            `trainers.metrics`; None if it failed.
        balanced_accuracy: mean of the same over the classes, in rows of before `answers`.
        answers: to the validation images, see `trainers.data.balance.Answers`; None in older rows,
            and where a function of the user's own judges.
        seconds: wall time of the training.
        error: why it failed, in one line.
        versions: of Python and the libraries.
    """

    __tablename__ = "nas_evaluations"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        Index("ix_nas_evaluations_study_id_key_epochs", "study_id", "key", "epochs"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("nas_studies.id"), index=True)
    number: Mapped[int]
    key: Mapped[str] = mapped_column(String(64))
    architecture: Mapped[dict[str, Any]] = mapped_column(JSON)
    space: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    recipe: Mapped[str] = mapped_column(String(64))
    epochs: Mapped[int]
    start: Mapped[int] = mapped_column(default=0, server_default="0")
    cost: Mapped[float] = mapped_column(Double, server_default="0")
    params: Mapped[int] = mapped_column(BigInteger)
    macs: Mapped[int] = mapped_column(BigInteger)
    activation_memory: Mapped[int | None] = mapped_column(BigInteger)
    latency: Mapped[float | None] = mapped_column(Double)
    latency_device: Mapped[str | None] = mapped_column(Text)
    costs: Mapped[dict[str, float] | None] = mapped_column(JSON)
    val_accuracy: Mapped[float | None] = mapped_column(Double)
    balanced_accuracy: Mapped[float | None] = mapped_column(Double)
    answers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    train_loss: Mapped[float | None] = mapped_column(Double)
    seconds: Mapped[float | None] = mapped_column(Double)
    device: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[Status] = mapped_column(
        Enum(Status, native_enum=False, length=16, values_callable=lambda e: [s.value for s in e])
    )
    error: Mapped[str | None] = mapped_column(Text)
    versions: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)

    study: Mapped[Study] = relationship(lazy="raise")

    @property
    def parsed_architecture(self) -> Architecture:
        """Its architecture, read from the JSON form.

        Raises:
            InvalidArchitectureError: the JSON is none, or one of a type that is not known here.
        """
        try:
            return read_architecture(self.architecture)
        except ConvnasError as error:
            raise InvalidArchitectureError(
                f"trial {self.number} cannot be read ({error}): name the --plugin that has its "
                "types, upgrade convnas if a newer one wrote it, or restore a copy of the database"
            ) from None

    @property
    def trained(self) -> int:
        """Epochs that this evaluation trained."""
        return self.epochs - self.start


class Weights(Base):
    """Trained weights of an evaluation on the current front, in safetensors form."""

    __tablename__ = "nas_weights"

    evaluation_id: Mapped[int] = mapped_column(
        ForeignKey("nas_evaluations.id"), primary_key=True, autoincrement=False
    )
    data: Mapped[bytes] = mapped_column(LargeBinary(2**31 - 1))


class Checkpoint(Base):
    """The state of a partial training that may continue, packed by `trainers.checkpoints`."""

    __tablename__ = "nas_checkpoints"

    evaluation_id: Mapped[int] = mapped_column(
        ForeignKey("nas_evaluations.id"), primary_key=True, autoincrement=False
    )
    data: Mapped[bytes] = mapped_column(LargeBinary(2**31 - 1))


class Export(_Balanced, Base):
    """One measurement on the test split: which network, how it was trained, its accuracy.

    Attributes:
        evaluation_id: the evaluation that was exported.
        retrained: whether it was trained again for the export.
        val_accuracy: of the exported weights on the validation split.
        test_accuracy: of the exported weights on the test split.
        balanced_accuracy: mean of the same over the classes, in rows of before `answers`.
        answers: to the test images, see `trainers.data.balance.Answers`; None in older rows.
        weights: SHA-256 of the exported weights, in hexadecimal digits.
        test_images: fingerprint of the test images; None in older rows.
    """

    __tablename__ = "nas_exports"

    id: Mapped[int] = mapped_column(primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("nas_evaluations.id"), index=True)
    retrained: Mapped[bool]
    recipe: Mapped[str] = mapped_column(String(64))
    epochs: Mapped[int]
    seed: Mapped[int]
    val_accuracy: Mapped[float] = mapped_column(Double)
    test_accuracy: Mapped[float] = mapped_column(Double)
    balanced_accuracy: Mapped[float | None] = mapped_column(Double)
    answers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    weights: Mapped[str] = mapped_column(String(64))
    test_images: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Driver(Base):
    """A search that works on a study, or did.

    Attributes:
        machine: see `studies.records.processes.Process`, also for `process` and `began`.
        beats: grows while it lives. Others watch it grow, so no clocks have to be compared.
        ended: whether it signed out. One that did not, and no longer lives, was killed.
    """

    __tablename__ = "nas_drivers"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("nas_studies.id"), index=True)
    machine: Mapped[str] = mapped_column(String(255))
    process: Mapped[int] = mapped_column(BigInteger)
    began: Mapped[str] = mapped_column(String(32))
    beats: Mapped[int] = mapped_column(BigInteger, default=0)
    ended: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Claim(Base):
    """An architecture in training, without an evaluation yet; no other search may train it.

    The transaction that writes the evaluation deletes it. If its driver ended before that, it waits
    for the next driver.

    Attributes:
        key: of the architecture.
        epochs: of the training. No two claims have the same key and epochs.
        start: how many of these are in a checkpoint.
        driver_id: who trains it, or did until the search ended.
        losses: how many drivers were killed while they trained it.
    """

    __tablename__ = "nas_claims"
    __table_args__ = (UniqueConstraint("study_id", "key", "epochs"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("nas_studies.id"))
    key: Mapped[str] = mapped_column(String(64))
    epochs: Mapped[int]
    start: Mapped[int] = mapped_column(default=0, server_default="0")
    architecture: Mapped[dict[str, Any]] = mapped_column(JSON)
    driver_id: Mapped[int] = mapped_column(ForeignKey("nas_drivers.id"), index=True)
    losses: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)

    @property
    def parsed_architecture(self) -> Architecture:
        """See `Evaluation.parsed_architecture`."""
        return read_architecture(self.architecture)


class Retraining(_Answered, Base):
    """An evaluated architecture trained again with a fresh seed, from scratch; measured on val.

    Attributes:
        recipe: name of the recipe; `epochs` replace its own.
        seed: of weights and data order; never the evaluation's.
        val_accuracy: on the validation split, or the number that stands in its place, see
            `trainers.metrics`; None if it failed.
        answers: as in `Evaluation`.
        seconds: wall time of the training.
        error: why it failed, in one line.
    """

    __tablename__ = "nas_retrainings"
    __table_args__ = (UniqueConstraint("evaluation_id", "recipe", "epochs", "seed"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("nas_evaluations.id"))
    recipe: Mapped[str] = mapped_column(String(64))
    epochs: Mapped[int]
    seed: Mapped[int]
    val_accuracy: Mapped[float | None] = mapped_column(Double)
    answers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    train_loss: Mapped[float | None] = mapped_column(Double)
    seconds: Mapped[float | None] = mapped_column(Double)
    device: Mapped[str | None] = mapped_column(String(255))
    error: Mapped[str | None] = mapped_column(Text)
    versions: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
