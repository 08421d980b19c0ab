"""The command that trains a front again, as a user runs it; the trainings are real and tiny."""

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture
from studies import finalists
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.store import Store
from studies.records.tables import Evaluation, Retraining, Study
from studies.retraining.plan import RetrainingPlan, RetrainingTask
from studies.retraining.process_pool import Lost
from studies.retraining.retrained_front import Fidelity
from studies.retraining.training import RetrainingSetup
from studies.retraining.work import Work
from tests.examples import evaluation, study
from tests.refusals import called, refusal
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import Dataset
from trainers.recipes import RECIPES
from trainers.training import Trainer

STORAGE = "sqlite:///convnas.db"
ONE_EPOCH = dataclasses.replace(RECIPES.get("quick"), epochs=1)
NETWORKS = (get("igc").decode({}), get("mixed").decode({"stage1.block1.conv1": "igc"}))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", subset=100)


@pytest.fixture
def stored(digits: Dataset) -> Iterator[tuple[Store, Study]]:
    """A study with a front of two networks, one epoch of 100 digits each."""
    store = Store(STORAGE, create=True)
    asked = study().dataset | {"subset": 100, "fingerprint": digits.fingerprint}
    asked["classes"] = list("0123456789")
    owner = store.enter(study("one", dataset=asked, recipe=ONE_EPOCH.to_json()))
    for number, found in enumerate(NETWORKS):
        named = {"key": found.key, "architecture": found.to_json(), "epochs": 1}
        store.record(evaluation(owner, number, 0.5 + number / 10, macs=1000 + number, **named))
    yield store, owner
    store.close()


def numbers(rows: Sequence[Retraining]) -> list[tuple[object, ...]]:
    return sorted((row.evaluation_id, row.seed, row.val_accuracy, row.train_loss) for row in rows)


def told(*arguments: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert called(finalists.main, *arguments, "--json")() == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_member_is_trained_with_fresh_seeds_as_it_would_be_alone(
    stored: tuple[Store, Study], digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    store, owner = stored
    found = told("--seeds", "2", "--workers", "2", capsys=capsys)
    rows = store.retrainings(owner)
    members = store.evaluations(owner)
    assert [(e, s) for e, s, *_ in numbers(rows)] == [(m.id, s) for m in members for s in (1, 2)]
    trainer = Trainer(digits.search, ONE_EPOCH, devices.best(8))
    for row in rows[:2]:
        of = next(member for member in members if member.id == row.evaluation_id)
        network = build(read_architecture(of.architecture), 1, 10, seed=row.seed)
        outcome = trainer.train(network, seed=row.seed)
        assert (row.val_accuracy, row.train_loss) == (outcome.val_accuracy, outcome.train_loss)
        assert row.versions["torch"]
        assert row.device
    for finalist, member in zip(found["finalists"], members, strict=True):
        mine = [r.val_accuracy or 0.0 for r in rows if r.evaluation_id == member.id]
        assert finalist["val_accuracy"] == pytest.approx(sum(mine) / 2)
        assert finalist["n"] == 2
        assert finalist["difference"] == pytest.approx((member.val_accuracy or 0) - sum(mine) / 2)
    assert found["winners_curse"]["n"] == 2

    # The same command trains nothing and says the same, and others read what it has written.
    assert told("--seeds", "2", capsys=capsys) == found
    assert numbers(store.retrainings(owner)) == numbers(rows)
    assert called(pareto.main, "--retrained", "--json")() == 0
    front = json.loads(capsys.readouterr().out)
    assert [m["trial"] for m in front] == [f["trial"] for f in found["finalists"] if f["front"]]
    assert front[0]["val_accuracy"] == found["finalists"][0]["val_accuracy"]
    assert called(pareto.main, "--retrained", "--csv")() == 0
    assert capsys.readouterr().out.startswith("trial,key,macs,params,val_accuracy,interval,n,")
    assert called(finalists.main, "--seeds", "2")() == 0
    said = capsys.readouterr().out
    assert "winner's curse: " in said
    assert said.rstrip().endswith(
        "python -m studies.export --study one --retrained --knee --retrain --output exported"
    )
    assert "exists already" in refusal(
        called(export.main, "--retrained", "--knee", "--retrain", "--output", "."), capsys
    )


@pytest.mark.slow
def test_a_command_that_is_stopped_or_killed_goes_on_and_trains_nothing_twice(
    stored: tuple[Store, Study],
) -> None:
    store, owner = stored
    arguments = ["--seeds", "40", "--workers", "1"]
    done = []
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        before = len(store.retrainings(owner))
        process = subprocess.Popen(
            [sys.executable, "-m", "studies.finalists", *arguments],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while len(store.retrainings(owner)) <= before:
            assert process.poll() is None
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        # Ctrl-C reaches every process of the terminal, a kill this one alone.
        (os.killpg if stop is signal.SIGINT else os.kill)(process.pid, stop)
        said = process.communicate(timeout=20)[1]
        assert process.returncode == code
        assert "Traceback" not in said
        if stop is signal.SIGINT:
            assert f"go on with: {'uv run ' if 'uv run' in said else ''}python -m" in said
            assert "studies.finalists --seeds 40 --workers 1" in said
        assert psutil.wait_procs(children, timeout=10)[1] == []
        done.append(numbers(store.retrainings(owner)))
    assert 0 < len(done[0]) < len(done[1]) < 80
    assert set(done[0]) <= set(done[1]), "nothing was trained twice, and nothing is lost"


def test_a_metric_is_that_of_the_answers_of_each_fresh_seed(
    stored: tuple[Store, Study], capsys: pytest.CaptureFixture[str]
) -> None:
    store, earlier = stored
    recipe = dataclasses.replace(ONE_EPOCH, metric="macro-f1")
    owner = store.enter(study("f1", dataset=earlier.dataset, recipe=recipe.to_json()))
    named = {"key": NETWORKS[0].key, "architecture": NETWORKS[0].to_json(), "epochs": 1}
    store.record(evaluation(owner, 0, 0.5, **named))
    found = told("--study", "f1", "--seeds", "2", "--workers", "1", capsys=capsys)
    answers = [row.parsed_answers for row in store.retrainings(owner)]
    scores = [each.macro_f1 for each in answers if each is not None]
    assert [row.val_accuracy for row in store.retrainings(owner)] == scores
    assert scores != [each.share for each in answers if each is not None]
    assert found["finalists"][0]["val_accuracy"] == pytest.approx(sum(scores) / 2)


def test_a_training_that_fails_is_a_row_and_is_tried_again_when_asked(
    stored: tuple[Store, Study], digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    store, owner = stored
    members = store.evaluations(owner)
    plan = RetrainingPlan(members, Fidelity("quick", 1), 1)
    work = Work(store, owner, plan, ONE_EPOCH)
    train = RetrainingSetup(digits.search, ONE_EPOCH)()
    bad = RetrainingTask(members[0].id, members[0].architecture | {"stages": []}, 1)
    work.record(bad, train(bad))
    work.record(RetrainingTask(members[1].id, {}, 1), Lost("ended by SIGKILL"))
    assert called(finalists.main, "--seeds", "1", "--json")() == 1
    printed = capsys.readouterr()
    assert [f["failed"] for f in json.loads(printed.out)["finalists"]] == [1, 1]
    assert "failed: 2 of the trainings, the last with ended by SIGKILL" in printed.err
    assert (store.retrainings(owner)[0].error or "").startswith("InvalidArchitectureError: ")

    assert (
        called(finalists.main, "--seeds", "1", "--workers", "1", "--json", "--retry-failed")() == 0
    )
    assert [f["n"] for f in json.loads(capsys.readouterr().out)["finalists"]] == [1, 1]
    assert [row.error for row in store.retrainings(owner)] == [None, None]


def test_the_recipe_of_the_search_by_its_name_has_the_epochs_of_the_search(
    stored: tuple[Store, Study], capsys: pytest.CaptureFixture[str]
) -> None:
    store, owner = stored
    told("--seeds", "1", "--workers", "1", "--recipe", "quick", capsys=capsys)
    assert {row.epochs for row in store.retrainings(owner)} == {1}


def retraining(of: Evaluation, seed: int, accuracy: float | None) -> Retraining:
    return Retraining(
        evaluation_id=of.id,
        recipe="quick",
        epochs=6,
        seed=seed,
        val_accuracy=accuracy,
        error=None if accuracy is not None else "RuntimeError: no",
        versions={"torch": "2"},
    )


def test_commands_at_once_write_every_training_once(store: Store, url: str) -> None:
    owner = store.enter(study())
    entry = evaluation(owner, 0, 0.5)
    store.record(entry)

    def write(writer: int) -> int:
        with closing(Store(url)) as mine:
            return sum(
                mine.record_retraining(retraining(entry, seed, writer / 10)) for seed in range(1, 9)
            )

    with ThreadPoolExecutor(3) as pool:
        written = list(pool.map(write, range(3)))
    assert sum(written) == 8
    assert sorted(row.seed for row in store.retrainings(owner)) == list(range(1, 9))


def test_a_failed_training_gives_way_to_one_that_finished_and_to_no_other(store: Store) -> None:
    owner = store.enter(study())
    entry = evaluation(owner, 0, 0.5)
    store.record(entry)
    assert store.record_retraining(retraining(entry, 1, None))
    assert not store.record_retraining(retraining(entry, 1, None))
    assert store.record_retraining(retraining(entry, 1, 0.4))
    assert not store.record_retraining(retraining(entry, 1, 0.6))
    assert [row.val_accuracy for row in store.retrainings(owner)] == [0.4]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--study", "two"], "no study 'two' in sqlite:///convnas.db; it holds: one"),
        (["--storage", "sqlite:///none.db"], "no database at none.db: run a search first"),
        (["--storage", "nonsense"], "--storage must be an SQLAlchemy URL"),
        (["--seeds", "0"], "'0' is no whole number above 0"),
        (["--seeds", "-1"], "'-1' is no whole number above 0"),
        (["--seeds", "1001"], "'1001' seeds are too many: at most 1000"),
        (["--epochs", "0"], "'0' is no whole number above 0"),
        (["--workers", "0"], "'0' is no whole number above 0"),
        (["--recipe", "slow"], "unknown recipe 'slow'; known recipes: quick, full"),
        (["--dataset", "/no"], "are not in /no: say where"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
    ids=lambda value: ascii(" ".join(value))[:60] if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refusal(called(finalists.main, *arguments), capsys)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"recipe": ONE_EPOCH.to_json() | {"peak_lr": 9.0}}, "the recipe quick has changed since"),
        ({"recipe": ONE_EPOCH.to_json()}, "is not what study one was searched on"),
        ({"recipe": RECIPES.get("quick").to_json()}, "study one has no finished evaluation yet"),
        (
            {"recipe": ONE_EPOCH.to_json(), "objective": "widest"},
            "unknown objective 'widest'; known objectives: macs",
        ),
    ],
    ids=["recipe", "images", "front", "objective"],
)
def test_a_study_that_cannot_be_trained_as_it_was_is_refused(
    changes: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Store(STORAGE, create=True)) as store:
        owner = store.enter(study("one", **changes))
        store.record(evaluation(owner, 0, 0.5, epochs=1))
    assert reason in refusal(called(finalists.main), capsys)


@pytest.mark.usefixtures("stored")
def test_a_front_that_was_not_trained_again_cannot_be_shown_or_chosen_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = "of 2 members of the front 0 were trained again: run python -m studies.finalists"
    assert missing in refusal(called(pareto.main, "--retrained"), capsys)
    assert missing in refusal(called(export.main, "--retrained", "--knee"), capsys)
    said = refusal(called(export.main, "--retrained", "--trial", "0"), capsys)
    assert "leave the other rules out" in said


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE nas_retrainings SET val_accuracy = 'good'", "'good' as its val_accuracy"),
        ("UPDATE nas_retrainings SET seed = -1", "-1 as its seed"),
        ("""UPDATE nas_retrainings SET answers = '{"images": [3]}'""", "as its answers"),
        ("UPDATE nas_retrainings SET versions = '{'", "is damaged, or not from convnas"),
        ("UPDATE nas_evaluations SET seed = 9223372036854775807", "a seed that no other can"),
    ],
)
def test_what_no_command_has_written_is_refused(
    stored: tuple[Store, Study],
    statement: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, owner = stored
    store.record_retraining(retraining(store.evaluations(owner)[0], 1, 0.5))
    with closing(sqlite3.connect("convnas.db")) as connection:
        connection.execute(statement)
        connection.commit()
    assert reason in refusal(called(finalists.main), capsys)
    if "retrainings" in statement:
        assert reason in refusal(called(pareto.main, "--retrained"), capsys)
