"""Networks of every type as their receiver gets them: made by the command, opened without us."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nas_space.bundle import Bundle
from nas_space.costs.cost import Task, predict
from nas_space.spaces.registry import get, spaces
from studies import predict as prediction
from studies.export import command as export
from studies.records.store import Store
from tests.examples import evaluation, study
from trainers.data.folders import decode
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import Dataset

SCRIPT = Path(__file__).with_name("elsewhere.py")
SPACES = tuple(spaces())

# Seven exports, each opened in a process of its own, and an environment with torch.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Shipped:
    """A folder with photos and bundles, what the commands printed, and what was found elsewhere."""

    folder: Path
    printed: dict[str, str]
    elsewhere: dict[str, Any]


def photos(folder: Path) -> None:
    """The digits as image files; the last of them are set aside for validation and test."""
    data = load("digits").search
    for number, (pixels, label) in enumerate(
        zip(data.train.pixels[:700], data.train.labels[:700], strict=True)
    ):
        split = "train" if number < 400 else "val" if number < 500 else "test"
        place = folder / split / data.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[:, :, 0]).save(place / f"{number}.png")


def searched(folder: Path, data: Dataset) -> None:
    """A study with a network of each space."""
    store = Store(f"sqlite:///{folder / 'convnas.db'}", create=True)
    asked = {
        "name": data.search.name,
        "fingerprint": data.fingerprint,
        "image_size": None,
        "subset": None,
        "flip": True,
        "data_dir": None,
        "shape": list(data.search.shape),
        "classes": list(data.search.classes),
    }
    owner = store.enter(study("all types", dataset=asked))
    for number, name in enumerate(SPACES):
        space = get(name)
        # Where there is a choice, not always the first.
        labels = {
            p.name: p.labels[i % min(3, len(p.labels))] for i, p in enumerate(space.parameters)
        }
        found = space.decode(labels)
        cost = predict(found, Task(1, (8, 8), 10))
        parts = {"key": found.key, "architecture": found.to_json(), "space": name}
        store.record(
            evaluation(owner, number, 0.5, **parts, params=cost.params, macs=cost.macs),
            lambda: b"not needed: they are trained anew",
        )
    store.close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python with torch, onnxruntime and Pillow, and without convnas."""
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "this test makes an environment of its own with uv"
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    python = folder / "bin" / "python"
    packages = [
        f"{name}=={importlib.metadata.version(name).partition('+')[0]}"
        for name in ("torch", "onnxruntime", "pillow")
    ]
    for command in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(python), *packages],
    ):
        subprocess.run([uv, *command], check=True, capture_output=True)
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Shipped:
    folder = tmp_path_factory.mktemp("shipped")
    photos(folder / "photos")
    searched(folder, load(str(folder / "photos")))
    bundles = folder / "bundles"
    printed = {}
    for number, name in enumerate(SPACES):
        printed[name] = command(
            export.main,
            ["--trial", str(number), "--retrain", "--epochs", "2", "--output", str(bundles / name)],
            folder,
        )
    wanted = {}
    for name in SPACES:
        network = Bundle.read(bundles / name).network
        batches = [torch.rand(count, 1, 8, 8) for count in (1, 7)]
        with torch.inference_mode():
            wanted[name] = [(images, network(images).clone()) for images in batches]
    torch.save(wanted, folder / "wanted.pt")
    received = shutil.copytree(bundles, folder / "received")
    for name in SPACES:
        shutil.copy(
            next((folder / "photos" / "test").glob("*/*.png")), received / name / "photo.png"
        )
    arguments = [received, folder / "wanted.pt", folder / "photos" / "test"]
    done = subprocess.run(
        [environment, "-I", "-W", "error", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return Shipped(folder, printed, json.loads(done.stdout.splitlines()[-1]))


def command(main: Callable[[], int], arguments: list[str], folder: Path) -> str:
    """What a command prints that succeeds."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["command", *arguments])
        assert main() == 0
    return printed.getvalue()


every_space = pytest.mark.parametrize("space", SPACES)


@every_space
def test_every_form_gives_the_same_outputs_elsewhere(shipped: Shipped, space: str) -> None:
    worst = shipped.elsewhere[space]["worst"]
    assert worst.keys() == {"model.py", "program.pt2", "model.onnx"}
    assert all(difference <= 1e-5 for difference in worst.values()), worst


@every_space
def test_the_stated_accuracy_is_measured_again_from_the_image_files(
    shipped: Shipped, space: str
) -> None:
    found = shipped.elsewhere[space]
    record = Bundle.read(shipped.folder / "bundles" / space).record
    assert (record.test.accuracy, record.test.images) == (found["right"] / 200, found["count"])
    card = (shipped.folder / "bundles" / space / "README.md").read_text()
    assert f"| test accuracy | {found['right'] / 200:.2%} (" in card
    assert f"{record.test.accuracy:.2%} accuracy" in shipped.printed[space]
    # `photo` halves these images of 8×8 to one pixel before its last stages, and learns nothing.
    assert space == "photo" or record.test.accuracy > 0.1


@every_space
def test_the_code_of_the_card_runs_as_it_is_printed(shipped: Shipped, space: str) -> None:
    assert shipped.elsewhere[space]["blocks"] == 3
    card = (shipped.folder / "bundles" / space / "README.md").read_text()
    (lines, *_) = [block.splitlines()[1:] for block in card.split("```")[1::2]]
    assert len(lines) == 3


@every_space
def test_the_command_says_what_it_verified_and_keeps_proxy_and_retrained_apart(
    shipped: Shipped, space: str
) -> None:
    printed = shipped.printed[space]
    assert "search    50.00% validation accuracy, a proxy (quick, 6 epochs)" in printed
    assert "(full, 2 epochs, 400 images)" in printed
    for where in ("torch", "ONNX Runtime"):
        assert f"ms for a batch of 64 in {where}, here" in printed
    forms = "model.py, program.pt2 and model.onnx"
    assert f"{forms} give the network's outputs in float64 to 1e-05" in printed
    assert "in a fresh process without convnas" in printed


def test_nothing_but_the_bundles_is_left_behind(shipped: Shipped) -> None:
    assert sorted(p.name for p in (shipped.folder / "bundles").iterdir()) == sorted(SPACES)


def test_predict_gives_classes_and_probabilities(shipped: Shipped) -> None:
    images = sorted((shipped.folder / "photos" / "test").glob("*/*.png"))[:40]
    bundle = shipped.folder / "bundles" / "mixed"
    printed = command(
        prediction.main, [str(bundle), *map(str, images), "--json", "--top", "10"], bundle
    )
    rows = json.loads(printed)
    assert [row["image"] for row in rows] == [str(path) for path in images]
    for row in rows:
        shares = list(row["classes"].values())
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    network = Bundle.read(bundle).network
    decoded = [decode(path, (8, 8), "L", Reading(16)) for path in images]
    pixels = torch.stack([torch.from_numpy(each.copy()) for each in decoded])
    with torch.inference_mode():
        expected = network(pixels.permute(0, 3, 1, 2) / 255).argmax(dim=1)
    assert [next(iter(row["classes"])) for row in rows] == [str(int(label)) for label in expected]
    lines = command(prediction.main, [str(bundle), str(images[0])], bundle).splitlines()
    assert lines == [lines[0]]
    assert lines[0].startswith(f"{images[0]}: {next(iter(rows[0]['classes']))} ")
    assert lines[0].count("%") == 3


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (["none.png"], "there is no image file none.png"),
        (["text.png"], "cannot decode the image text.png"),
        ([".."], "there is no image file .."),
        (["x" * 300], "x"),
    ],
)
def test_predict_refuses_what_is_no_image_and_prints_no_half_of_a_result(
    shipped: Shipped,
    images: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("no image")
    good = next((shipped.folder / "photos" / "test").glob("*/*.png"))
    bundle = shipped.folder / "bundles" / "mixed"
    monkeypatch.setattr(sys, "argv", ["predict", str(bundle), str(good), *images])
    assert prediction.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert reason in printed.err
    assert printed.err.count("\n") == 1


def test_predict_refuses_a_changed_bundle_in_one_line(
    shipped: Shipped,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = shutil.copytree(shipped.folder / "bundles" / "igc", tmp_path / "igc")
    weights = bundle / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    good = next((shipped.folder / "photos" / "test").glob("*/*.png"))
    monkeypatch.setattr(sys, "argv", ["predict", str(bundle), str(good)])
    assert prediction.main() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "is not the file that was exported: copy the folder again" in printed.err
    assert printed.err.count("\n") == 1
