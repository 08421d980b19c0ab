"""Whole searches as a user runs them: real Ray, real SQLite, real training."""

import csv
import dataclasses
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from nas_space.bundle import Bundle
from nas_space.costs.cost import Task, predict
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture
from searchers.ray.evaluator import Evaluator
from searchers.ray.worker import Carried
from studies.model.accuracy import expected
from studies.records.store import Store
from tests.refusals import after_waiting
from trainers.data.registry import load
from trainers.recipes import RECIPES

QUICK = ["--subset", "300", "--epochs", "1", "--max-macs", "3M"]


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, *command: str, code: int = 0) -> str:
    process = start(folder, *command)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, out + err
    return out if code == 0 else err


def search(folder: Path, budget: int, *more: str, code: int = 0) -> str:
    options = ["--space", "mixed", "--budget", str(budget), *QUICK, *more]
    return run(folder, "searchers.run", *options, code=code)


def rows(folder: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(folder / "convnas.db")
    connection.row_factory = sqlite3.Row
    found = connection.execute("SELECT * FROM nas_evaluations ORDER BY number").fetchall()
    connection.close()
    return [dict(row) for row in found]


def expected_accuracies(folder: Path) -> dict[int, float]:
    """What the model of all trainings of the only study expects, by trial."""
    with closing(Store(f"sqlite:///{folder / 'convnas.db'}", create=False)) as store:
        study = store.study(None)
        return expected(study, store.evaluations(study))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a search of 6 evaluations has ended, and what it printed."""
    folder = tmp_path_factory.mktemp("searched")
    return folder, search(folder, 6)


def test_it_prints_the_front_where_all_is_stored_and_what_to_type_next(
    searched: tuple[Path, str],
) -> None:
    _, printed = searched
    assert "6/6 done" in printed
    assert "Pareto front" in printed
    assert (
        "6 evaluations in study mixed-digits-quick1-n300-seed0 of sqlite:///convnas.db" in printed
    )
    assert "python -m studies.report --study" in printed
    assert "python -m studies.export" in printed
    assert "always saying" not in printed  # the classes are equal


def test_it_is_quiet_about_its_libraries(searched: tuple[Path, str]) -> None:
    _, printed = searched
    assert not any(word in printed.lower() for word in ("ray", "tune", "warning", "trial_id"))


def test_every_evaluation_is_a_row_with_all_that_produced_it(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    found = rows(folder)
    assert [row["number"] for row in found] == list(range(6))
    assert len({row["key"] for row in found}) == 6
    for row in found:
        architecture = read_architecture(json.loads(row["architecture"]))
        cost = predict(architecture, Task(1, (8, 8), 10))
        assert row["key"] == architecture.key
        assert (row["macs"], row["params"]) == (cost.macs, cost.params)
        assert row["macs"] <= 3_000_000
        assert row["status"] == "finished"
        assert 0 <= row["val_accuracy"] <= 1
        assert (row["space"], row["seed"], row["recipe"], row["epochs"]) == ("mixed", 0, "quick", 1)
        assert row["seconds"] > 0
        assert row["device"]
        assert torch.__version__.startswith(json.loads(row["versions"])["torch"])


def test_the_study_is_there_for_optunas_dashboard(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'convnas.db'}")
    (name,) = [summary.study_name for summary in storage.get_all_studies()]
    study = optuna.load_study(study_name=name, storage=storage)
    assert study.metric_names == ["val_accuracy", "macs"]
    expected = [[row["val_accuracy"], row["macs"]] for row in rows(folder)]
    assert [trial.values for trial in study.trials] == expected
    assert all(t.state is optuna.trial.TrialState.COMPLETE for t in study.trials)
    storage.remove_session()
    storage.engine.dispose()


def test_the_front_is_printed_as_table_json_and_csv(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    members = json.loads(run(folder, "studies.pareto", "--json"))
    names = {"trial", "key", "macs", "params", "val_accuracy", "architecture"}
    names |= {"activation_memory", "latency", "latency_device", "by_hand", "expected_accuracy"}
    names |= {"costs"}
    assert all(member.keys() == names for member in members)
    macs = [member["macs"] for member in members]
    accuracies = [member["val_accuracy"] for member in members]
    assert macs == sorted(macs)
    assert accuracies == sorted(accuracies)
    read = list(csv.DictReader(io.StringIO(run(folder, "studies.pareto", "--csv"))))
    assert [int(row["macs"]) for row in read] == macs
    assert all(m["key"] in run(folder, "studies.pareto") for m in members)


def test_studies_are_listed(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    (listed,) = json.loads(run(folder, "studies.list", "--json"))
    assert (listed["space"], listed["finished"], listed["failed"]) == ("mixed", 6, 0)


@pytest.mark.slow
def test_an_export_has_the_searchs_weights_and_is_measured_on_test_once(
    searched: tuple[Path, str],
) -> None:
    folder, _ = searched
    for number in (1, 2):
        printed = run(folder, "studies.export", "--knee", "--output", f"knee{number}")
        assert "look number 1 at this study's test images" in printed
    first, second = (Bundle.read(folder / f"knee{number}") for number in (1, 2))
    images = torch.rand(5, 1, 8, 8)
    assert torch.equal(first.network(images), second.network(images))
    card = (folder / "knee1" / "README.md").read_text()
    assert "test accuracy" in card
    assert "python -m searchers.run --space mixed --budget 6" in card
    record = first.record
    assert record.search.accuracy == record.validation.accuracy, "the search's own weights"


@pytest.mark.slow
def test_an_export_can_be_retrained_on_all_images(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    retrain = ["--retrain", "--epochs", "2", "--output", "retrained"]
    printed = run(folder, "studies.export", "--trial", "0", *retrain)
    assert "epoch 2/2" in printed
    assert "(full, 2 epochs, 1,151 images)" in printed
    assert (folder / "retrained" / "weights.safetensors").is_file()


@pytest.mark.slow
def test_the_same_command_goes_on_to_a_larger_budget_and_repeats_nothing(tmp_path: Path) -> None:
    search(tmp_path, 2)
    before = rows(tmp_path)
    printed = search(tmp_path, 4)
    assert "2 done" in printed
    assert rows(tmp_path)[:2] == before
    assert len({row["key"] for row in rows(tmp_path)}) == 4
    assert "4 evaluations" in search(tmp_path, 4), "nothing is left to do"
    assert len(rows(tmp_path)) == 4


@pytest.mark.slow
def test_a_search_trains_hand_designed_networks_and_says_what_it_gains(tmp_path: Path) -> None:
    printed = search(tmp_path, 24)
    found = rows(tmp_path)
    assert len(found) == 24
    names = {
        row["number"]: read_architecture(json.loads(row["architecture"])).by_hand for row in found
    }
    by_hand = {number: name for number, name in names.items() if name is not None}
    # Two of different families are trained first, and up to two last, where any are cheaper than
    # the knee. The sampler may propose others itself: a uniform network is one.
    assert len({name for number, name in by_hand.items() if number < 4}) == 2
    (told,) = [line for line in printed.splitlines() if line.startswith("the knee, trial ")]
    number = int(told.removeprefix("the knee, trial ").partition(",")[0])
    knee = found[number]
    cheaper = [r for r in found if r["number"] in by_hand and r["cost"] <= knee["cost"]]
    means = expected_accuracies(tmp_path)
    assert len(means) == 24
    if number in by_hand:
        assert told.endswith(f"({by_hand[number]}): the search found none better")
    elif cheaper:
        points = 100 * (means[number] - max(means[r["number"]] for r in cheaper))
        assert f"; gain {points:+.1f} ± " in told
        assert told.endswith(" points")
    else:
        assert told.endswith("no hand-designed network of at most its cost was trained to the end")
    members = json.loads(run(tmp_path, "studies.pareto", "--json"))
    assert all(member["by_hand"] == names[member["trial"]] for member in members)
    assert all(member["expected_accuracy"] == means[member["trial"]] for member in members)
    report = tmp_path / "report.html"
    run(tmp_path, "studies.report", "--output", str(report))
    assert "Beside the hand-designed networks (green): the knee, trial " in report.read_text()


@pytest.mark.slow
def test_a_study_of_the_first_version_of_its_space_goes_on_as_one(tmp_path: Path) -> None:
    first = ("--study", "old", "--space", "mixed@1")
    search(tmp_path, 2, *first)
    said = after_waiting(search(tmp_path, 3, "--study", "old", code=2))
    assert said.startswith("error: study 'old' has another space (")
    assert "; continue it with --space mixed@1, or" in said
    assert said.count("\n") == 1
    assert "2 done" in search(tmp_path, 3, *first)
    found = rows(tmp_path)
    networks = [read_architecture(json.loads(row["architecture"])) for row in found]
    assert len(networks) == 3
    assert all(get("mixed@1").encode(network) is not None for network in networks)
    assert "look number 1" in run(tmp_path, "studies.export", "--knee", "--output", "knee")
    run(tmp_path, "studies.report", "--output", "report.html")
    assert "--space mixed@1" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_one_worker_and_one_seed_repeat_a_search_exactly(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        search(tmp_path / name, 3, "--concurrency", "1", "--seed", "5")
        columns = ("key", "val_accuracy", "train_loss")
        found.append([[row[column] for column in columns] for row in rows(tmp_path / name)])
    assert found[0] == found[1]


def wait_for_rows(folder: Path, count: int) -> None:
    for _ in range(600):
        if (folder / "convnas.db").exists():
            try:
                if len(rows(folder)) >= count:
                    return
            except sqlite3.OperationalError:
                pass  # the tables are being made
        time.sleep(0.2)
    pytest.fail("no rows came")


@pytest.mark.slow
def test_ctrl_c_finishes_what_runs_and_says_how_to_go_on(tmp_path: Path) -> None:
    options = ["--space", "mixed", "--budget", "500", *QUICK]
    process = start(tmp_path, "searchers.run", *options)
    wait_for_rows(tmp_path, 2)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "ended before its budget of 500: interrupted" in err
    assert "go on with: python -m searchers.run --space mixed --budget 500" in err
    assert "Pareto front" in out
    assert "Traceback" not in out + err
    assert all(row["status"] == "finished" for row in rows(tmp_path))


@pytest.mark.slow
def test_a_database_that_fails_on_the_way_is_one_line_and_what_was_recorded_stays(
    tmp_path: Path,
) -> None:
    options = ["--space", "mixed", "--budget", "500", *QUICK]
    process = start(tmp_path, "searchers.run", *options)
    wait_for_rows(tmp_path, 2)
    connection = sqlite3.connect(tmp_path / "convnas.db", timeout=60)
    connection.execute("ALTER TABLE nas_evaluations RENAME TO elsewhere")
    recorded = connection.execute("SELECT count(*) FROM elsewhere").fetchone()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2, out + err
    err = after_waiting(err)
    assert err.startswith("error: cannot use the database sqlite:///convnas.db: no such table")
    assert err.count("\n") == 1
    assert connection.execute("SELECT count(*) FROM elsewhere").fetchone() == recorded
    connection.close()


@pytest.mark.slow
def test_the_best_of_each_rung_go_on_and_the_front_is_of_full_trainings(tmp_path: Path) -> None:
    printed = search(tmp_path, 4, "--epochs", "3")
    assert "recipe   quick, 3 epochs; after 1 the best third continues" in printed
    found = rows(tmp_path)
    finished = [row for row in found if row["status"] == "finished"]
    spent = sum(row["epochs"] - row["start"] for row in finished)
    assert 12 <= spent < 18
    gone_on = [row for row in finished if row["start"]]
    assert gone_on
    for row in gone_on:
        assert (row["start"], row["epochs"]) == (1, 3)
        below = [r for r in found if (r["key"], r["epochs"]) == (row["key"], 1)]
        assert len(below) == 1
    full = {row["number"] for row in finished if row["epochs"] == 3}
    members = json.loads(run(tmp_path, "studies.pareto", "--json"))
    assert {member["trial"] for member in members} <= full
    assert f"{len(full)} evaluations and {len(finished) - len(full)} partial ones in" in printed
    # What has gone on ends as it would have, had it been trained at once.
    best = max(gone_on, key=lambda row: row["val_accuracy"])
    data = load("digits", subset=300).search
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=3)
    architecture = json.loads(best["architecture"])
    alone = Evaluator(data, recipe, 1)(
        {
            "architecture": architecture,
            "seed": 0,
            "start": 0,
            "epochs": 3,
            "checkpoint": Carried(None),
        }
    )
    assert alone["val_accuracy"] == best["val_accuracy"]


@pytest.mark.slow
def test_rungs_can_be_chosen_or_done_without(tmp_path: Path) -> None:
    printed = search(tmp_path, 2, "--epochs", "3", "--rungs", "3")
    assert "2/2 done" in printed
    assert {row["epochs"] for row in rows(tmp_path)} == {3}
    said = search(tmp_path, 2, "--epochs", "3", "--rungs", "3,1", code=2)
    assert said == ("error: --rungs 3,1 must ascend to the 3 epochs of a full training, like 1,3\n")
