"""Optuna's view of a study: what the dashboard will show."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import optuna
import pytest

from nas_space.spaces.registry import get
from studies.records.database import StoreError
from studies.records.optuna_mirror import BackgroundMirror, OptunaMirror, readable
from studies.records.store import Store
from tests.examples import architecture, evaluation, study

Opened = Callable[[str], OptunaMirror]


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
    assert trial.user_attrs["seconds"] == 1.5
    assert trial.duration is not None
    # MariaDB keeps whole seconds.
    assert abs(trial.duration - timedelta(seconds=1.5)) <= timedelta(seconds=0.5)
    chosen = readable(architecture(0))
    assert chosen.items() <= trial.params.items()
    assert all(trial.params[place] == "-" for place in trial.params.keys() - chosen.keys())


def test_a_study_of_another_objective_shows_that_one(store: Store, url: str) -> None:
    owner = store.enter(study(objective="activation-memory"))
    entry = evaluation(owner, 0, 0.75, activation_memory=2048, cost=2048.0)
    with closing(OptunaMirror(url, owner, get("mixed").catalogue())) as shown:
        shown.add(entry)
    with as_optuna_sees_it(url, owner.name) as seen:
        assert seen.metric_names == ["val_accuracy", "activation_memory"]
        assert seen.trials[0].values == [0.75, 2048.0]


def test_failed_evaluations_are_failed_trials_and_never_running(
    store: Store, mirror: Opened, url: str
) -> None:
    owner = store.enter(study())
    mirror(owner.name).add(evaluation(owner, 0, None))
    with as_optuna_sees_it(url, owner.name) as seen:
        (trial,) = seen.trials
    assert trial.state is optuna.trial.TrialState.FAIL
    assert trial.user_attrs["error"] == "RuntimeError: out of memory"


def test_partial_evaluations_are_pruned_trials_and_never_on_optunas_front(
    store: Store, mirror: Opened, url: str
) -> None:
    owner = store.enter(study())
    mirror(owner.name).add(evaluation(owner, 0, 0.9, epochs=2))
    with as_optuna_sees_it(url, owner.name) as seen:
        (trial,) = seen.trials
        assert seen.best_trials == []
    assert trial.state is optuna.trial.TrialState.PRUNED
    assert trial.user_attrs["partial_val_accuracy"] == 0.9
    assert trial.user_attrs["epochs"] == 2


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


UP, DOWN = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE


@pytest.mark.parametrize("directions", [[UP], [DOWN, DOWN], [UP, DOWN]], ids=str)
def test_a_study_of_the_same_name_that_is_not_ours_is_refused(
    store: Store, mirror: Opened, url: str, directions: list[optuna.study.StudyDirection]
) -> None:
    assert store.studies() == []
    storage = optuna.storages.RDBStorage(url)
    theirs = optuna.create_study(storage=storage, study_name="s", directions=directions)
    theirs.add_trial(optuna.trial.create_trial(values=[0.0] * len(directions)))
    with pytest.raises(StoreError, match="another --study name"):
        mirror("s")
    assert len(theirs.trials) == 1
    storage.remove_session()
    storage.engine.dispose()


def test_an_evaluation_that_optuna_refuses_is_told_and_ends_nothing(store: Store, url: str) -> None:
    owner = store.enter(study())
    with closing(OptunaMirror(url, owner, {"stage1.width": ("1",)})) as narrow:
        narrow.add(evaluation(owner, 1, 0.5))  # it is wider
        assert narrow.trouble is not None


def test_a_mirror_in_the_background_has_shown_all_when_it_is_closed(store: Store, url: str) -> None:
    owner = store.enter(study())
    entries = [evaluation(owner, number, 0.5 + number / 20) for number in range(5)]
    shown = OptunaMirror(url, owner, get("mixed").catalogue())
    with closing(BackgroundMirror(shown)) as behind:
        behind.catch_up(entries[:2])
        for entry in entries[2:]:
            behind.add(entry)
    assert behind.trouble is None
    with as_optuna_sees_it(url, owner.name) as seen:
        assert [trial.user_attrs["evaluation"] for trial in seen.trials] == [0, 1, 2, 3, 4]


def test_one_that_was_stopped_shows_nothing_that_another_has_shown_meanwhile(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = store.enter(study())
    entry = evaluation(owner, 0, 0.5)
    stopped, other = (OptunaMirror(url, owner, get("mixed").catalogue()) for _ in "ab")
    monkeypatch.setattr("studies.records.optuna_mirror._LATE_SECONDS", -1.0)
    with closing(other):
        other.add(entry)
    with closing(BackgroundMirror(stopped)) as behind:
        behind.add(entry)
    with as_optuna_sees_it(url, owner.name) as seen:
        assert [trial.user_attrs["evaluation"] for trial in seen.trials] == [0]


def test_trouble_in_the_background_is_told(store: Store, url: str) -> None:
    owner = store.enter(study())
    narrow = OptunaMirror(url, owner, {"stage1.width": ("1",)})
    with closing(BackgroundMirror(narrow)) as behind:
        behind.add(evaluation(owner, 1, 0.5))  # it is wider
    assert behind.trouble is not None
