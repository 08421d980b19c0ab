"""A whole search over a network of the user's own: real Ray, real training, and an export."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.timeout(300)

MINE = """
from torch import nn


def net():
    def block(c_in, c_out, stride):
        conv = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU())

    body = nn.Sequential(block(1, 16, 1), block(16, 32, 2), block(32, 64, 2))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
"""
"""Three lines of a network, in a file that only the current folder has."""


def run(folder: Path, *command: str, code: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    options = ("--budget", "4", "--epochs", "2", "--rungs", "2", "--subset", "600")
    return folder, run(folder, "searchers.run", "--space", "backbone:mine:net", *options)


def test_the_backbone_as_it_is_and_each_type_are_trained_first(
    searched: tuple[Path, str],
) -> None:
    folder, printed = searched
    assert "4 evaluations in study backbone-mine-net-digits-quick2-n600-seed0" in printed
    rows = json.loads(run(folder, "studies.pareto", "--json"))
    assert rows
    for row in rows:
        architecture = row["architecture"]
        assert architecture["skeleton"] == "backbone"
        assert architecture["backbone"]["name"] == "mine:net"
        assert len(architecture["convs"]) == 2
        assert row["macs"] <= architecture["backbone"]["macs"]


def test_the_same_command_goes_on(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    options = ("--budget", "5", "--epochs", "2", "--rungs", "2", "--subset", "600")
    printed = run(folder, "searchers.run", "--space", "backbone:mine:net", *options)
    assert "4 done" in printed
    assert "5 evaluations in study" in printed


def test_it_is_shown_reported_and_shipped_without_the_users_file(
    searched: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = searched
    number = str(json.loads(run(folder, "studies.pareto", "--json"))[0]["trial"])
    assert "rest of mine:net" in run(folder, "studies.show", number)
    run(folder, "studies.export", "--trial", number, "--output", "best")
    photo = folder / "photo.png"
    Image.new("L", (8, 8)).save(photo)
    refused = run(folder, "studies.predict", "best", "photo.png", code=2)
    assert "best is a network of mine:net, which would have to be called: if you trust" in refused
    named = run(folder, "studies.predict", "best", "photo.png", "--backbone", "mine:net")
    assert named.startswith("photo.png: ")
    refused = run(folder, "trainers.run", "best/architecture.json", code=2)
    assert "if you trust that code, say --backbone mine:net" in refused
    (folder / "mine.py").rename(tmp_path / "elsewhere.py")
    # What is recorded and what was shipped need the network's code no more.
    page = Path(folder, run(folder, "studies.report").split()[1].rstrip(";"))
    assert "0.2.0" in page.read_text()
    text = (folder / "best" / "model.py").read_text()
    assert 'place(self, "0.2.0' in text
    script = "import torch, model; print(tuple(model.load()(torch.rand(3, 1, 8, 8)).shape))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder / "best",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "(3, 10)"
