"""The study for Optuna's dashboard: finished trials, each written at once.

Our own rows are the record, and the mirror can be rebuilt from them. So a search that dies between
the two writes loses nothing: `OptunaMirror.catch_up` adds what is missing.
"""

import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from nas_space.errors import reason
from nas_space.spaces.architecture import Architecture
from studies import objective
from studies.records.database import (
    SQLITE_BUSY_SECONDS,
    StoreError,
    keep_to_its_file,
    parse_url,
    remedy,
)
from studies.records.tables import Evaluation, Status, Study

_ABSENT = "-"
NUMBER = "evaluation"
"""The user attribute of a trial that holds the number of its evaluation."""
_ATTEMPTS = 4
_DELAY_SECONDS = 0.2
"""Longer than a search takes to propose and claim."""
_LATE_SECONDS = 5.0
_AWAY = (optuna.exceptions.StorageInternalError, SQLAlchemyError)
_REFUSALS = (optuna.exceptions.OptunaError, SQLAlchemyError, ValueError)


class OptunaMirror:
    """An Optuna study of the same name in the same database.

    Attributes:
        study: Optuna's object.
        trouble: why the last missing evaluation could not be added; None if none is missing.

    Args:
        url: an SQLAlchemy URL, with its password.
        study: as stored; partial evaluations are shown as pruned.
        catalogue: for each parameter to show, every label it may take.

    Raises:
        StoreError: Optuna's tables are of another version, or the study is not ours.
    """

    def __init__(self, url: str, study: Study, catalogue: Mapping[str, tuple[str, ...]]) -> None:
        self._full: int = study.recipe["epochs"]
        metric = objective.metric_of(study)
        made_large = "val_accuracy" if metric.is_accuracy else metric.name
        self._objectives = [made_large, objective.of(study).column]
        self.trouble: str | None = None
        self._missed: list[Evaluation] = []
        self._url = parse_url(url)
        self._storage = _storage(url, study.name)
        keep_to_its_file(self._storage.engine)
        try:
            self.study = self._enter(study.name)
        except BaseException:
            self.close()
            raise
        self._distributions: dict[str, BaseDistribution] = {
            place: CategoricalDistribution((*labels, _ABSENT))
            for place, labels in catalogue.items()
        }

    def _enter(self, name: str) -> optuna.Study:
        theirs = StoreError(
            f"there is an Optuna study {name!r} in the database already, which is not ours; "
            "give this search another --study name"
        )
        try:
            study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                directions=["maximize", "minimize"],
                load_if_exists=True,
            )
        except _REFUSALS as error:
            if not (damage := self._remedy(error)):
                raise theirs from None
            raise StoreError(
                f"Optuna cannot use the database of study {name!r} ({reason(error)}){damage}"
            ) from None
        if study.metric_names != self._objectives and study.get_trials(deepcopy=False):
            raise theirs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(self._objectives)
        return study

    def _remedy(self, error: Exception) -> str:
        cause = error.__cause__  # Optuna puts an error of its own around it
        return remedy(cause if isinstance(cause, SQLAlchemyError) else error, self._url)

    def catch_up(self, evaluations: Iterable[Evaluation]) -> None:
        """Add the evaluations that are missing; `trouble` says why one could not be added."""
        try:
            trials = self.study.get_trials(deepcopy=False)
        except _REFUSALS as error:
            self.trouble = f"{reason(error)}{self._remedy(error)}"
            return
        present = {trial.user_attrs.get(NUMBER) for trial in trials}
        for evaluation in evaluations:
            if evaluation.number not in present:
                self.add(evaluation)

    def add(self, evaluation: Evaluation) -> None:
        """Show an evaluation as a trial, with the choice of every layer as a parameter.

        If Optuna refuses it, `trouble` says why; our own row is written already. If the database
        failed, the next call tries it again; otherwise `catch_up` does.
        """
        self._missed.append(evaluation)
        while self._missed:
            try:
                self.study.add_trial(self._trial(self._missed[0]))
            except _AWAY as error:
                self.trouble = f"{reason(error)}{self._remedy(error)}"
                return
            except _REFUSALS as error:
                self.trouble = reason(error)
            else:
                self.trouble = None
            self._missed.pop(0)

    def close(self) -> None:
        """Close all connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _state(self, evaluation: Evaluation) -> TrialState:
        if evaluation.status is Status.FAILED:
            return TrialState.FAIL
        return TrialState.COMPLETE if evaluation.epochs >= self._full else TrialState.PRUNED

    def _trial(self, evaluation: Evaluation) -> FrozenTrial:
        chosen = readable(evaluation.parsed_architecture)
        attributes = {
            NUMBER: evaluation.number,
            "key": evaluation.key,
            "params": evaluation.params,
            "epochs": evaluation.epochs,
            "seconds": round(evaluation.seconds or 0, 1),
        }
        state = self._state(evaluation)
        if state is TrialState.FAIL:
            attributes["error"] = (evaluation.error or "")[:200]
        if state is TrialState.PRUNED:
            # Optuna has no partial values for several objectives, and would put them on its front.
            attributes[f"partial_{self._objectives[0]}"] = evaluation.val_accuracy
        done = state is TrialState.COMPLETE
        trial = create_trial(
            state=state,
            values=[evaluation.val_accuracy or 0.0, evaluation.cost] if done else None,
            params={place: chosen.get(place, _ABSENT) for place in self._distributions},
            distributions=self._distributions,
            user_attrs=attributes,
        )
        trial.datetime_complete = _local(evaluation.created_at)
        trial.datetime_start = trial.datetime_complete - timedelta(seconds=evaluation.seconds or 0)
        return trial


def _storage(url: str, name: str) -> RDBStorage:
    """Optuna's tables, created if they are missing."""
    waiting = {"timeout": SQLITE_BUSY_SECONDS} if url.startswith("sqlite") else {}
    attempt = 1
    while True:
        try:
            return RDBStorage(url, engine_kwargs={"connect_args": waiting, "pool_pre_ping": True})
        except (*_REFUSALS, RuntimeError) as error:
            # Another search may create them at the same moment; Optuna does not handle that.
            if attempt == _ATTEMPTS:
                raise StoreError(
                    f"Optuna cannot use the database of study {name!r} ({reason(error)}); give "
                    "this search another --storage"
                ) from None
        time.sleep(0.2 * attempt)
        attempt += 1


class BackgroundMirror:
    """A mirror that a thread writes, so that no trial waits for it.

    An evaluation has a few dozen parameters, and Optuna reads and writes each alone: 30 to 80 ms
    in all. After a crash, `OptunaMirror.catch_up` adds what is missing.

    Args:
        mirror: the one to write; use it only through this.
    """

    def __init__(self, mirror: OptunaMirror) -> None:
        self._mirror = mirror
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mirror")
        self._closing = threading.Event()

    @property
    def trouble(self) -> str | None:
        """See `OptunaMirror.trouble`; complete once this is closed."""
        return self._mirror.trouble

    def catch_up(self, evaluations: Iterable[Evaluation]) -> None:
        """Add the evaluations that are missing, in the background."""
        self._thread.submit(self._mirror.catch_up, list(evaluations))

    def add(self, evaluation: Evaluation) -> None:
        """Show an evaluation as a trial, a little later."""
        # A worker is free now: the claim on its next training must not wait for this.
        self._thread.submit(self._add, evaluation, time.monotonic() + _DELAY_SECONDS)

    def _add(self, evaluation: Evaluation, earliest: float) -> None:
        self._closing.wait(max(0.0, earliest - time.monotonic()))
        if time.monotonic() > earliest + _LATE_SECONDS:
            # This process was stopped for a while: another search may have shown it meanwhile.
            self._mirror.catch_up([evaluation])
        else:
            self._mirror.add(evaluation)

    def flush(self) -> None:
        """Wait until all is written."""
        self._thread.submit(lambda: None).result()

    def close(self) -> None:
        """Write what is left, and close all connections."""
        self._closing.set()
        self._thread.submit(self._mirror.close)
        self._thread.shutdown(wait=True)


def _local(moment: datetime) -> datetime:
    """A moment as Optuna stores it: local time without a zone. SQLite forgets that ours is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone().replace(tzinfo=None)


def readable(architecture: Architecture) -> dict[str, str]:
    """An architecture as labels for people: widths, depths, and each layer's convolution."""
    convs = {layer.name: str(layer.conv) for layer in architecture.layers() if layer.c_in}
    return architecture.dimensions() | convs
