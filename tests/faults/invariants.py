"""What must be true of a study whatever has happened to its searches."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.trial import TrialState
from sqlalchemy import select

from studies.records.database import StoreError
from studies.records.fidelity import complete
from studies.records.store import Store
from studies.records.tables import Claim, Evaluation, Status, Study


class Row(NamedTuple):
    """What an evaluation says: whose, how accurate, for how long, and what it cost in epochs."""

    key: str
    accuracy: float | None
    epochs: int
    trained: int


def rows(url: str) -> list[Row]:
    """What the database holds now; nothing if there is no study yet."""
    try:
        with closing(Store(url)) as store:
            return [
                Row(entry.key, entry.val_accuracy, entry.epochs, entry.trained)
                for entry in _evaluations(store)
            ]
    except StoreError:
        return []


def waiting(folder: Path) -> list[Row]:
    """What waits in files beside a search until it continues, in the order in which it ended."""
    found = [json.loads(path.read_text()) for path in folder.glob("convnas-unrecorded-*/*.json")]
    return [
        Row(entry["key"], entry["val_accuracy"], entry["epochs"], entry["epochs"] - entry["start"])
        for entry in sorted(found, key=lambda entry: datetime.fromisoformat(entry["created_at"]))
    ]


def kept(url: str, folder: Path) -> list[Row]:
    """What the database holds, and then what waits in files alone."""
    recorded = rows(url)
    return [*recorded, *(row for row in waiting(folder) if row not in recorded)]


def claims(store: Store) -> list[str]:
    """The keys of architectures that are said to be trained now."""
    return store.database.read(lambda session: list(session.scalars(select(Claim.key))))


def _evaluations(store: Store) -> list[Evaluation]:
    studies = [study for study, _, _ in store.studies()]
    return store.evaluations(studies[0]) if studies else []


def check_kept(before: Sequence[Row], after: Sequence[Row]) -> None:
    """Raise unless all that was there is there still, in the same place."""
    assert list(after[: len(before)]) == list(before), "a recorded result is gone or has changed"


def check(url: str, folder: Path, budget: int) -> None:
    """Raise unless a study that has reached its budget is whole."""
    with closing(Store(url)) as store:
        study = store.study(None)
        found = store.evaluations(study)
        kept = [entry.number for entry in found if store.weights(entry) is not None]
        running = claims(store)
    finished = [entry for entry in found if entry.status is Status.FINISHED]
    full = study.recipe["epochs"]
    spent = sum(entry.trained for entry in finished)
    # The last trainings may take more than is left, those of all workers.
    assert budget * full <= spent < (budget + 2) * full, f"{spent} epochs for {budget} of {full}"
    assert [entry.number for entry in found] == list(range(len(found))), "numbers have gaps"
    work = [(entry.key, entry.epochs) for entry in found]
    assert len(set(work)) == len(work), "an architecture was trained twice"
    assert not running, f"{running} are still said to be trained"
    _check_failures(found)
    trained = complete(finished, study)
    assert kept == _near_front(trained), "weights are not those at the front"
    best = _front(trained)
    assert _printed_front(url, folder) == best, "the printed front is another"
    _check_optunas_view(url, study, found)
    assert not list(folder.glob("convnas-unrecorded-*")), "results were not recorded"


def _check_failures(found: Sequence[Evaluation]) -> None:
    reasons = {entry.error for entry in found if entry.status is Status.FAILED}
    for reason in reasons:
        assert reason, "a trial failed without a reason"
        assert reason.partition(":")[0] in {"WorkerDied", "DriverLost", "TimeLimit"}, reason


def _front(finished: Sequence[Evaluation]) -> list[int]:
    """Numbers of those that none dominates, by ascending MACs; the definition, spelled out."""

    def dominated(entry: Evaluation, other: Evaluation) -> bool:
        mine, theirs = (entry.val_accuracy or 0.0), (other.val_accuracy or 0.0)
        better = theirs > mine or other.macs < entry.macs
        equal = (theirs, other.macs) == (mine, entry.macs) and other.number < entry.number
        return theirs >= mine and other.macs <= entry.macs and (better or equal)

    best = [e for e in finished if not any(dominated(e, other) for other in finished)]
    return [entry.number for entry in sorted(best, key=lambda entry: entry.macs)]


def _near_front(finished: Sequence[Evaluation]) -> list[int]:
    """Numbers of those at most 3 points below each that costs no more; the definition, spelled out.

    The best by expected accuracy is among them, and is to be exported without another training.
    """

    def far_below(entry: Evaluation, other: Evaluation) -> bool:
        mine, theirs = (entry.val_accuracy or 0.0), (other.val_accuracy or 0.0)
        return other.macs <= entry.macs and mine < theirs - 0.03

    near = [e for e in finished if not any(far_below(e, other) for other in finished)]
    return sorted(entry.number for entry in near)


def _printed_front(url: str, folder: Path) -> list[int]:
    command = [sys.executable, "-m", "studies.pareto", "--json", "--storage", url]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [member["trial"] for member in json.loads(ran.stdout)]


def _check_optunas_view(url: str, study: Study, found: Sequence[Evaluation]) -> None:
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name=study.name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    shown = sorted(trial.user_attrs["evaluation"] for trial in trials)
    assert shown == [entry.number for entry in found], "Optuna shows something else"
    for entry, trial in zip(found, sorted(trials, key=_number), strict=True):
        ended = TrialState.COMPLETE if entry in complete(found, study) else TrialState.PRUNED
        failed = entry.status is Status.FAILED
        assert trial.state is (TrialState.FAIL if failed else ended), "Optuna takes it for another"


def _number(trial: optuna.trial.FrozenTrial) -> int:
    number: int = trial.user_attrs["evaluation"]
    return number
