"""Optuna's view of a study: what the dashboard will show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import optuna

from studies.mirror import Mirror, readable
from studies.store import Store
from tests.examples import architecture, evaluation, study

Opened = Callable[[str], Mirror]


@contextmanager
def as_optuna_sees_it(url: str, name: str) -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(url)
    yield optuna.load_study(study_name=name, storage=storage)
    storage.remove_session()
    storage.engine.dispose()


def test_finished_evaluations_are_trials_with_both_objectives_and_readable_choices(
    store: Store, mirror: Opened, url: str
) -> None:
    owner = store.enter(study())
    entry = evaluation(owner, 0, 0.75)
    mirror(owner.name).add(entry)
    with as_optuna_sees_it(url, owner.name) as seen:
        assert seen.metric_names == ["val_accuracy", "macs"]
        assert [d.name for d in seen.directions] == ["MAXIMIZE", "MINIMIZE"]
        (trial,) = seen.trials
    assert trial.values == [0.75, float(entry.macs)]
    assert trial.user_attrs["key"] == entry.key
    assert trial.duration == timedelta(seconds=1.5)
    chosen = readable(architecture(0))
    assert chosen.items() <= trial.params.items()
    assert all(trial.params[place] == "-" for place in trial.params.keys() - chosen.keys())


def test_failed_evaluations_are_failed_trials_and_never_running(
    store: Store, mirror: Opened, url: str
) -> None:
    owner = store.enter(study())
    mirror(owner.name).add(evaluation(owner, 0, None))
    with as_optuna_sees_it(url, owner.name) as seen:
        (trial,) = seen.trials
    assert trial.state is optuna.trial.TrialState.FAIL
    assert trial.user_attrs["error"] == "RuntimeError: out of memory"


def test_a_mirror_that_fell_behind_catches_up_without_doubles(
    store: Store, mirror: Opened, url: str
) -> None:
    owner = store.enter(study())
    entries = [evaluation(owner, number, 0.5 + number / 10) for number in range(4)]
    mirror(owner.name).add(entries[1])
    for _ in range(2):
        mirror(owner.name).catch_up(entries)
    with as_optuna_sees_it(url, owner.name) as seen:
        numbers = sorted(trial.user_attrs["evaluation"] for trial in seen.trials)
    assert numbers == [0, 1, 2, 3]
