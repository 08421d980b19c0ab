"""The export command: which network, how it is trained anew, what is refused."""

import dataclasses
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save

from nas_space import waiting
from nas_space.bundle import Bundle, Measured
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from studies.cli import CommandError
from studies.export import command as export
from studies.export.card import interval
from studies.export.trained_network import (
    TrainedNetwork,
    checkpoint_of,
    from_search,
    look,
    retrained,
)
from studies.records.store import Store
from studies.records.tables import Evaluation, Study
from tests.examples import evaluation, study
from tests.refusals import after_waiting, called
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import Dataset, Images
from trainers.recipes import RECIPES
from trainers.training import Trainer

STORAGE = "sqlite:///convnas.db"
Capsys = pytest.CaptureFixture[str]
SMALL = get("mixed").decode({"stage1.block1.conv1": "igc"})


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture
def stored(digits: Dataset) -> Iterator[tuple[Store, Study, Evaluation]]:
    """A study of the digits with two networks; weights were not kept."""
    store = Store(STORAGE, create=True)
    asked = study().dataset | {"fingerprint": digits.fingerprint, "classes": list("0123456789")}
    owner = store.enter(study("one", dataset=asked))
    for number, found in enumerate((SMALL, get("regular").decode({}))):
        named = {"key": found.key, "architecture": found.to_json()}
        store.record(evaluation(owner, number, 0.5 + number / 10, macs=1000 + number, **named))
    yield store, owner, store.evaluations(owner)[0]
    store.close()


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What is printed, and the one line of a refusal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["export", *arguments])
        try:
            code = export.main()
        except SystemExit as stopped:
            code = int(str(stopped.code))
    printed = capsys.readouterr()
    assert code == 2
    said = after_waiting(printed.err)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return printed.out, said


@pytest.mark.usefixtures("stored")
def test_without_a_rule_it_shows_the_front_and_says_which_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, err = refused(["--output", "o"], capsys)
    assert "Pareto front" in out
    for rule in ("knee", "max-macs", "max-params", "max-latency", "min-accuracy", "trial"):
        assert f"--{rule}" in err


@pytest.mark.usefixtures("stored")
def test_latencies_of_the_front_are_measured_where_a_rule_asks_for_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, err = refused(["--output", "o", "--max-latency", "1us"], capsys)
    assert "trial 0: " in out
    assert "trial 1: " in out
    assert out.count("ms for an image") == 2
    assert "no network within these limits takes at most 0.001 ms" in err
    out, err = refused(["--output", ".", "--max-latency", "100 s", "--retrain"], capsys)
    assert f"trial 1: {get('regular').decode({})}" in out
    assert "exists already" in err


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--max-latency", "5"], "'5' is no time like 5ms, 300us or 0.1s"),
        (["--max-latency", "0ms"], "'0ms' is no time"),
        (["--max-latency", "nan"], "'nan' is no time"),
        (["--max-latency", "1e9s"], "'1e9s' is no time"),
        (["--max-params", "few"], "'few' is no positive number like 500k"),
        (["--max-params", "1"], "smallest network of the front has"),
        (["--trial", "0", "--max-params", "1M"], "leave the other rules out"),
        (["--trial", "0", "--max-latency", "1ms"], "leave the other rules out"),
        (["--knee", "--runtime", "onnxruntime"], "say how --max-latency is measured: add it"),
        (["--trial", "0", "--int8", "maybe"], "invalid choice: 'maybe'"),
        (["--trial", "0", "--int8-loss", "1%"], "add --int8"),
        (["--trial", "0", "--int8", "--int8-loss=-1%"], "is no loss of accuracy like 0.005"),
        (["--trial", "0", "--int8", "--int8-loss", "1"], "is no loss of accuracy like 0.005"),
    ],
    ids=str,
)
def test_rules_that_cannot_be_kept_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(["--output", "o", *arguments], capsys)[1]
    assert not Path("o").exists()


def test_a_retraining_that_was_killed_goes_on_and_ends_as_one_left_alone(
    stored: tuple[Store, Study, Evaluation], digits: Dataset, tmp_path: Path
) -> None:
    _, _, chosen = stored
    arguments = ["--trial", "0", "--retrain", "--epochs", "20", "--output", "best"]
    process = subprocess.Popen(
        [sys.executable, "-m", "studies.export", *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("  epoch 1/20") for line in process.stdout)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not Path("best").exists()
    recipe = dataclasses.replace(RECIPES.get("full"), epochs=20)
    kept = checkpoint_of(tmp_path / ".best.checkpoint", chosen, digits, recipe)
    assert kept.path.is_file()
    alone = checkpoint_of(tmp_path / "alone.checkpoint", chosen, digits, recipe)
    first, second = (retrained(chosen, digits, recipe, point) for point in (kept, alone))
    assert first.digest == second.digest
    assert first.validation == second.validation


def test_the_test_images_are_looked_at_once_for_the_same_weights(
    stored: tuple[Store, Study, Evaluation], digits: Dataset, tmp_path: Path
) -> None:
    store, owner, chosen = stored
    recipe = dataclasses.replace(RECIPES.get("full"), epochs=1)
    test = digits.open_test()
    found = []
    for name in ("a", "b"):
        point = checkpoint_of(tmp_path / name, chosen, digits, recipe)
        trained = retrained(chosen, digits, recipe, point)
        found.append(look(store, owner, chosen, trained, digits, test))
    assert found[0] == found[1]
    assert len(store.exports(owner)) == 1


@pytest.fixture
def kept(stored: tuple[Store, Study, Evaluation], digits: Dataset) -> dict[int, bytes]:
    """Weights of both networks, trained for a moment, by the trial that they are kept for.

    The fixture keeps them for a third trial and a fourth, as accurate as they are.
    """
    store, owner, _ = stored
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=2)
    trainer, found = Trainer(digits.search, recipe, devices.best(8)), {}
    for trial, member in enumerate(store.evaluations(owner), start=2):
        network = build(member.parsed_architecture, 1, 10)
        accuracy = trainer.train(network, seed=0).val_accuracy
        assert accuracy > 0.3
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        found[trial] = save(tensors)
        named = {"key": f"{trial}", "architecture": member.architecture}
        store.record(evaluation(owner, trial, accuracy, **named))
        last = store.evaluations(owner)[-1].id
        damage("INSERT INTO nas_weights (evaluation_id, data) VALUES (?, ?)", last, found[trial])
    return found


def damage(sql: str, *values: object) -> None:
    with closing(sqlite3.connect("convnas.db")) as connection:
        connection.execute(sql, values)
        connection.commit()


def test_weights_of_another_network_are_one_line(
    kept: dict[int, bytes], stored: tuple[Store, Study, Evaluation], capsys: Capsys
) -> None:
    store, owner, _ = stored
    places = {entry.number: entry.id for entry in store.evaluations(owner)}
    change = "UPDATE nas_weights SET data = ? WHERE evaluation_id = ?"
    damage(change, kept[3], places[2])
    _, said = refused(["--trial", "2", "--output", "o"], capsys)
    assert "the weights in the database are not those of trial 2, but of another network" in said
    assert "add --retrain" in said
    damage(change, b"", places[2])
    assert "are damaged" in refused(["--trial", "2", "--output", "o"], capsys)[1]
    assert store.exports(owner) == []


def test_weights_that_are_less_accurate_than_they_were_are_refused_before_the_test_images(
    kept: dict[int, bytes], stored: tuple[Store, Study, Evaluation], digits: Dataset, capsys: Capsys
) -> None:
    store, owner, _ = stored
    *_, chosen, _ = store.evaluations(owner)
    images, right = len(digits.search.val), chosen.val_accuracy
    assert right is not None

    def given(accuracy: float) -> TrainedNetwork:
        proxy = Measured(accuracy, images, "quick", 2, 0)
        return from_search(proxy, kept[2], chosen, digits)

    for few in (-2, 0, 2):
        given(right + few / images)
    with pytest.raises(CommandError, match=r"validation accuracy now, and gave \d+.\d+% in the se"):
        given(right - 5 / images)
    damage("UPDATE nas_evaluations SET val_accuracy = 0.1 WHERE number = 2")
    _, said = refused(["--trial", "2", "--output", "o"], capsys)
    assert "gave 10.00% in the search, so the network is built otherwise now" in said
    assert store.exports(owner) == []


def shortly(chosen: Evaluation, digits: Dataset, checkpoint: Path) -> TrainedNetwork:
    """A network trained for one epoch."""
    recipe = dataclasses.replace(RECIPES.get("full"), epochs=1)
    return retrained(chosen, digits, recipe, checkpoint_of(checkpoint, chosen, digits, recipe))


def test_other_test_images_are_another_look(
    stored: tuple[Store, Study, Evaluation], digits: Dataset, tmp_path: Path
) -> None:
    store, owner, chosen = stored
    trained = shortly(chosen, digits, tmp_path / "a")
    test = digits.open_test()

    def looked(images: Images) -> float:
        return look(store, owner, chosen, trained, digits, images)[0].accuracy

    first = looked(test)
    wrong = Images(test.pixels, (test.labels + 1) % 10)
    brighter = Images(test.pixels | np.uint8(128), test.labels)
    assert looked(wrong) != first
    assert len(store.exports(owner)) == 2
    looked(brighter)
    looked(Images(test.pixels[:-1], test.labels[:-1]))
    assert looked(test) == first
    assert len(store.exports(owner)) == 4


def test_a_look_of_before_test_images_were_told_apart_is_not_believed(
    stored: tuple[Store, Study, Evaluation], digits: Dataset, tmp_path: Path
) -> None:
    store, owner, chosen = stored
    trained = shortly(chosen, digits, tmp_path / "a")
    test = digits.open_test()
    first = look(store, owner, chosen, trained, digits, test)
    damage("UPDATE nas_exports SET test_images = NULL, test_accuracy = 0.01")
    assert look(store, owner, chosen, trained, digits, test) == first
    assert [export.test_accuracy for export in store.exports(owner)] == [0.01, first[0].accuracy]


def test_an_accuracy_is_said_with_its_interval_and_its_images() -> None:
    assert interval(Measured(354 / 359, 359, "full", 60, 1)) == "96.78% to 99.40%, 359 images"


@pytest.mark.usefixtures("stored")
def test_while_nothing_else_is_printed_it_says_what_it_waits_for(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_FIRST_SECONDS", 0.0)
    arguments = ["--trial", "0", "--retrain", "--epochs", "1", "--output", "best"]
    assert called(export.main, *arguments)() == 0
    out, err = capsys.readouterr()
    assert "training  full, 1 epoch on 1,151 images\n" in out
    lines = err.splitlines()
    assert all(line.endswith(" …") for line in lines)
    for phase in ("reading the images of", "measuring it on", "measuring how long", "tracing"):
        assert any(line.startswith(phase) for line in lines)
    assert "writing model.onnx …" in lines
    assert "checking the files in another process …" in lines


@pytest.mark.slow
@pytest.mark.usefixtures("stored")
def test_int8_is_measured_in_the_same_look(capsys: Capsys) -> None:
    arguments = ["--trial", "0", "--retrain", "--epochs", "2", "--output", "best", "--int8"]
    assert called(export.main, *arguments)() == 0
    out = capsys.readouterr().out
    assert re.search(r"int8 +\d+.\d+% validation accuracy, float32 \d+.\d+% in ONNX Runtime: ", out)
    assert re.search(r"int8 +\d+.\d+% test accuracy, float32 \d+.\d+% in ONNX Runtime: ", out)
    assert "verified  model.int8.onnx gives there what it gives here\n" in out
    record = Bundle.read(Path("best")).record
    assert record.int8 is not None
    assert record.int8.test.images == record.test.images
    assert abs(record.int8.test.fp32 - record.test.accuracy) <= 2 / record.test.images
    assert "## In int8" in Path("best/README.md").read_text()
    assert json.loads(Path("best/manifest.json").read_text())["files"]["model.int8.onnx"]


@pytest.mark.slow
def test_an_int8_that_loses_too_much_is_refused_before_the_test_images(
    stored: tuple[Store, Study, Evaluation], capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, owner, _ = stored
    # Ranges of dark images alone: int8 cuts off what is bright, in every layer.
    dark = np.zeros((8, 1, 8, 8), dtype=np.float32)
    monkeypatch.setattr("studies.export.int8.sample", lambda *_: dark)
    arguments = ["--trial", "1", "--retrain", "--epochs", "4", "--output", "best", "--int8"]
    _, said = refused([*arguments, "require"], capsys)
    assert re.search(r"int8 loses \d+.\d+ points of validation accuracy", said)
    assert "--int8-loss" in said
    assert not Path("best").exists()
    assert store.exports(owner) == []
    assert called(export.main, *arguments)() == 0
    assert "warning: int8 loses" in capsys.readouterr().out
    assert "**It loses more.**" in Path("best/README.md").read_text()
