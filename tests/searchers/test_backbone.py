"""A whole search over a network of the user's own: real Ray, real training, and an export."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from studies.records.store import Store
from studies.records.tables import Evaluation, Study
from tests.refusals import after_waiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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


GO_ON = ("--budget", "6", "--epochs", "2", "--rungs", "2", "--subset", "600")
OTHER = MINE.replace("ReLU", "Tanh")


def refused(folder: Path, *arguments: str) -> str:
    """What a command says that is refused, but for what it waited for."""
    return after_waiting(run(folder, *arguments, code=2))


def test_a_function_that_computes_something_else_now_is_refused(
    searched: tuple[Path, str],
) -> None:
    folder, _ = searched
    number = str(json.loads(run(folder, "studies.pareto", "--json"))[0]["trial"])
    (folder / "mine.py").write_text(OTHER)
    try:
        said = refused(folder, "searchers.run", "--space", "backbone:mine:net", *GO_ON)
        assert "has another space (what mine:net computes has changed); continue it with" in said
        assert said.count("\n") == 1
        for how in ((), ("--retrain", "--epochs", "1")):
            export = ("studies.export", "--trial", number, "--output", "other", *how)
            said = refused(folder, *export)
            assert "mine:net has changed: it computes something else than the network" in said
            assert said.count("\n") == 1
    finally:
        (folder / "mine.py").write_text(MINE)
    assert not (folder / "other").exists()


def test_a_study_of_before_digests_goes_on_and_its_weights_are_compared(
    searched: tuple[Path, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(searched[0], tmp_path / "earlier")
    forget_digests(folder / "convnas.db")
    printed = run(folder, "searchers.run", "--space", "backbone:mine:net", *GO_ON)
    assert " done\n" in printed
    assert "6 evaluations in study" in printed
    rows = json.loads(run(folder, "studies.pareto", "--json"))
    assert all("digest" not in row["architecture"]["backbone"] for row in rows)
    number = str(rows[-1]["trial"])
    (folder / "mine.py").write_text(OTHER)
    said = run(folder, "studies.export", "--trial", number, "--output", "best", code=2)
    assert "so the network is built otherwise now (mine:net): bring back the code" in said
    (folder / "mine.py").write_text(MINE)
    assert "look number 1 at" in run(
        folder, "studies.export", "--trial", number, "--output", "best"
    )


def forget_digests(path: Path) -> None:
    """Make a database one of before digests were kept, keys included."""

    def bare(data: dict[str, Any]) -> dict[str, Any]:
        backbone = {name: value for name, value in data["backbone"].items() if name != "digest"}
        assert backbone.keys() < data["backbone"].keys()
        return data | {"backbone": backbone}

    def forget(session: Session) -> None:
        for study in session.scalars(select(Study)):
            study.space = bare(study.space)
        for evaluation in session.scalars(select(Evaluation)):
            evaluation.architecture = bare(evaluation.architecture)
            evaluation.key = evaluation.parsed_architecture.key

    with closing(Store(f"sqlite:///{path}")) as store:
        store.database.write(forget)


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
