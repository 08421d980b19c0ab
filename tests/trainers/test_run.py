"""The command that trains one network, as a user runs it."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture
from tests.refusals import after_waiting
from trainers import run
from trainers.data.registry import load
from trainers.intervals import around_mean, wilson
from trainers.runs.subject import SubjectError, find

QUICK = ["--subset", "300", "--epochs", "2"]
SMALL = get("mixed").decode({"stage1.block1.conv1": "igc", "stage2.block1.conv2": "octave"})


@pytest.fixture(autouse=True)
def _in_a_folder_with_an_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("a.json").write_text(SMALL.text)


def call(*arguments: str, code: int = 0) -> None:
    """Run the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run", *arguments])
        try:
            found = run.main()
        except SystemExit as stopped:
            found = int(str(stopped.code))
    assert found == code


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.run", *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(folder: str) -> dict[str, object]:
    """All that a training leaves behind, but for the time that it took."""
    found: dict[str, object] = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix == ".json":
            found[path.name] = json.loads(path.read_text()) | {"seconds": None}
        else:
            found[path.name] = path.read_bytes()
    return found


def test_several_seeds_end_with_their_mean_and_its_interval(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call("a.json", *QUICK, "--seeds", "2", "--seed", "4", "--output", "out")
    printed = capsys.readouterr().out
    found = [json.loads(Path(f"out/seed-{seed}.json").read_text()) for seed in (4, 5)]
    accuracies = [result["val_accuracy"] for result in found]
    assert accuracies[0] != accuracies[1] or found[0]["train_loss"] != found[1]["train_loss"]
    mean, half = sum(accuracies) / 2, around_mean(accuracies)
    assert printed.splitlines()[-1].startswith(
        f"trained   {mean:.2%} ± {half:.2%} validation accuracy: mean of 2 seeds"
    )
    assert "epoch 2/2" in printed
    assert f"architecture {SMALL.key}" in printed
    assert "search " not in printed, "a bare architecture has no proxy to show"


def test_one_seed_ends_with_the_interval_of_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    call("a.json", *QUICK, "--output", "out")
    accuracy = json.loads(Path("out/seed-0.json").read_text())["val_accuracy"]
    images = len(load("digits", subset=300).search.val)
    low, high = wilson(accuracy, images)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"trained   {accuracy:.2%} validation accuracy of one seed, {low:.2%}")
    assert f"to {high:.2%} with 95 % confidence ({images} images)" in last


def test_the_weights_are_those_of_the_network() -> None:
    call("a.json", *QUICK, "--output", "out")
    network = build(read_architecture(SMALL.text), 1, 10)
    network.load_state_dict(load_file("out/seed-0.safetensors"))
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "seed-0.json",
        "seed-0.safetensors",
        "training.json",
    ]


def test_the_same_command_again_trains_nothing_and_says_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call("a.json", *QUICK, "--output", "out")
    first, before = capsys.readouterr().out, results("out")
    call("a.json", *QUICK, "--output", "out")
    second = capsys.readouterr().out
    assert "done before" in second
    assert "epoch" not in second.replace("epochs", "")
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert results("out") == before
    call("a.json", *QUICK, "--output", "out", "--seeds", "2")
    assert "mean of 2 seeds" in capsys.readouterr().out


def test_every_question_has_a_folder_of_its_own_unless_one_is_named() -> None:
    for _ in range(2):
        call("a.json", *QUICK)
        call("a.json", *QUICK, "--recipe", "quick")
    folders = [path for path in Path().iterdir() if path.is_dir()]
    assert len(folders) == 2
    assert all(path.name.startswith(f"trained-{SMALL.key}-") for path in folders)
    assert all((path / "seed-0.safetensors").is_file() for path in folders)


def test_onwards_begins_with_the_weights_that_were_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call("a.json", "--epochs", "4", "--output", "first")
    before = json.loads(Path("first/seed-0.json").read_text())
    further = ["--epochs", "2", "--output", "further"]
    call("a.json", "--from", "first/seed-0.safetensors", *further)
    after = json.loads(Path("further/seed-0.json").read_text())
    assert after["train_loss"] < before["train_loss"]
    assert "onwards from first/seed-0.safetensors" in capsys.readouterr().out


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_one_that_was_left_alone() -> None:
    arguments = ["a.json", "--epochs", "12", "--seeds", "2"]
    alone = start(*arguments, "--output", "alone")
    out, err = alone.communicate(timeout=200)
    assert alone.returncode == 0, err
    chance = random.Random(0)
    for _ in range(3):
        process = start(*arguments, "--output", "killed")
        wait_for_training(process)
        time.sleep(chance.uniform(0, 0.8))
        assert process.poll() is None, "it was over before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    last = start(*arguments, "--output", "killed")
    again, err = last.communicate(timeout=200)
    assert last.returncode == 0, err
    assert results("killed") == results("alone")
    assert again.splitlines()[-1] == out.splitlines()[-1]


def test_stopped_by_hand_it_says_how_to_go_on() -> None:
    process = start("a.json", "--epochs", "1000")
    wait_for_training(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert after_waiting(err) == "\nstopped; the same command continues\n"


def wait_for_training(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("seed") and ":" not in line:
            return
    pytest.fail("no seed was begun")


def test_a_paper_network_is_trained_on_images_that_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos("photos", classes=10)
    call("igc-l24m2-d8", "--dataset", "photos", "--epochs", "1", "--output", "out")
    assert "igc-l24m2-d8 (Zhang" in capsys.readouterr().out


def photos(folder: str, classes: int) -> None:
    """Colour images of noise, which nothing can be learnt from."""
    from PIL import Image  # noqa: PLC0415

    chance = random.Random(0)
    for label in range(classes):
        place = Path(folder, f"class {label}")
        place.mkdir(parents=True)
        for number in range(10):
            image = Image.frombytes("RGB", (8, 8), chance.randbytes(192))
            image.save(place / f"{number}.png")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "required: NETWORK"),
        (["none.json", "--output", "o"], "no file and no exported network at none.json"),
        (["no/where", "--output", "o"], "no file and no exported network at no/where"),
        (["resnet-1000000", "--output", "o"], "'resnet-1000000' is no file, and no paper's"),
        (["igc-l24m2-d20", "--output", "o"], "cannot take the 1×8×8 images of digits"),
        (["broken.json", "--output", "o"], "broken.json is no JSON"),
        (["other.json", "--output", "o"], "an architecture is a JSON object with the fields"),
        (["empty", "--output", "o"], "manifest.json is missing"),
        (["a.json", "--output", "o", "--recipe", "slow"], "unknown recipe 'slow'"),
        (["a.json", "--output", "o", "--dataset", "mnist"], "no data set 'mnist'"),
        (["a.json", "--output", "o", "--seeds", "0"], "'0' is no whole number above 0"),
        (["a.json", "--output", "o", "--seed", "-1"], "'-1' is no whole number from 0"),
        (["a.json", "--output", "o", "--seed", "x"], "'x' is no whole number from 0"),
        (["a.json", "--output", "o", "--from", "none"], "none are no weights in safetensors form"),
        (["a.json", "--output", "o", "--from", "a.json"], "are no weights in safetensors form"),
        (["a.json", "--output", "o", "--from", "empty"], "manifest.json is missing"),
        (["a.json", "--output", "."], "holds something else: choose another --output"),
        (["a.json", "--output", "a.json"], "Not a directory"),
        (["a.json", "--output", "x" * 300], "File name too long"),
        (["x" * 300, "--output", "o"], "File name too long"),
        (["huge.json", "--output", "o"], "an architecture has at most 1,000,000,000 weights"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_nothing_is_written(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.json").write_text("{")
    Path("other.json").write_text("[1]")
    Path("empty").mkdir()
    wide = {"width": 8192, "blocks": [["regular", "regular"]] * 100}
    Path("huge.json").write_text(json.dumps(SMALL.to_json() | {"stages": [wide]}))
    before = sorted(Path().iterdir())
    call(*arguments, code=2)
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1, printed.err
    assert reason in printed.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (["--epochs", "3"], "recipe"),
        (["--subset", "200"], "images"),
        (["--from", "weights.safetensors"], "start"),
    ],
)
def test_a_folder_of_another_training_is_refused(
    change: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call("a.json", *QUICK, "--output", "out")
    Path("weights.safetensors").write_bytes(Path("out/seed-0.safetensors").read_bytes())
    before = results("out")
    call("a.json", *QUICK, *change, "--output", "out", code=2)
    assert f"out holds another training (another {what})" in capsys.readouterr().err
    assert results("out") == before


def test_weights_of_another_network_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    call("a.json", *QUICK, "--output", "out")
    Path("b.json").write_text(get("regular").decode({}).text)
    weights = ["--from", "out/seed-0.safetensors"]
    call("b.json", *QUICK, *weights, "--output", "other", code=2)
    assert "the weights to go on from do not belong to" in capsys.readouterr().err


def test_a_disk_that_fills_up_is_one_line_and_leaves_no_half_of_a_result(
    capfd: pytest.CaptureFixture[str],
) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, unlimited[1]))
    try:
        call("a.json", *QUICK, "--output", "out", code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert after_waiting(capfd.readouterr().err) == "error: File too large\n"
    assert [path.name for path in Path("out").iterdir()] == ["training.json"]


@pytest.mark.parametrize("name", ["seed-0.json", "training.json", "seed-0.checkpoint"])
def test_a_damaged_file_of_a_training_is_named(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call("a.json", *QUICK, "--output", "out")
    Path("out/seed-0.json").unlink()
    Path("out", name).write_text("[")
    call("a.json", *QUICK, "--output", "out", code=2)
    assert f"out/{name} is damaged: delete it to train" in capsys.readouterr().err


def test_a_paper_network_of_other_classes_is_refused() -> None:
    photos("photos", classes=3)
    with pytest.raises(SubjectError, match=r"tells 10 classes apart and .* has 3"):
        find("igc-l24m2-d8", load("photos").search)
