"""A search for a device: what is refused at once, and what is proposed and recorded."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_space.convs import TYPES
from nas_space.costs.cost import Task, predict
from nas_space.devices import DEVICES, Memory, Profile, ProfileError
from nas_space.errors import InvalidChoiceError
from nas_space.spaces.choices.space import ChoiceSpace
from nas_space.spaces.registry import get
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.skeletons import read_architecture
from searchers.limits import ImpossibleLimitError, Limits, part_for
from searchers.samplers import registry as samplers
from searchers.schedule.proposals import Proposer
from searchers.search import describe
from searchers.setup import set_up
from searchers.terminal.arguments import read
from studies.records.database import StoreError
from studies.records.store import Store

TASK = Task(3, (32, 32), 10)
SMALL = replace(
    DEVICES.get("esp32-s3"),
    name="small",
    ram=Memory(60_000, 0, "a test", 1.5, 8, 300),
    flash=Memory(150_000, 0, "a test", 1.0, 28, 1000),
)


def test_a_search_proposes_only_what_the_device_runs_and_has_room_for() -> None:
    for name in ("random", "bayes"):
        setup = set_up(read(["--space", "mixed", "--budget", "9", "--device", "esp32-s3"]))
        problem = replace(setup, device=SMALL).problem(Limits())
        proposer = Proposer(problem, samplers.make(name, problem, 0), 0)
        for _ in range(15):
            proposal = proposer.propose()
            assert proposal is not None
            taken = SMALL.taken_of(proposal.cost)
            assert taken is not None
            assert all(use.fits for use in SMALL.uses(taken))
            assert isinstance(proposal.architecture, ResidualArchitecture)
            assert not SMALL.operators.obstacles(proposal.architecture.operations(setup.task))
        hand = [network for _, network in problem.by_hand]
        assert hand
        assert not [found for found in hand if "IGC" in (found.by_hand or "")]


def test_of_two_limits_the_smaller_holds() -> None:
    cost = predict(get("mixed").reference(), TASK)
    taken = SMALL.taken_of(cost)
    assert taken is not None
    enough = replace(SMALL, ram=Memory(10**6, 0, "a test"), flash=Memory(10**7, 0, "a test"))
    assert Limits(device=enough).excess(cost) == 0
    assert Limits(params=cost.params - 1, device=enough).excess(cost) > 0
    assert Limits(params=cost.params, device=SMALL).excess(cost) > 0
    assert Limits(device=replace(enough, ram=Memory(10_000, 0, "a test"))).excess(cost) > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ram": Memory(4_000, 1_000, "a test")}, "has 3,000 bytes of RAM for a network, and the"),
        ({"flash": Memory(300, 100, "a test")}, "has 200 bytes of flash for a network, and the"),
    ],
)
def test_too_small_a_memory_is_one_line_with_the_smallest_network(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ImpossibleLimitError, match=said) as refused:
        part_for(get("regular"), TASK, replace(SMALL, **changes))
    smallest = int(str(refused.value).rpartition(" ")[2].replace(",", ""))
    # As much as that is enough.
    name = next(iter(changes))
    limited: dict[str, Any] = {"ram": None, "flash": None} | {name: Memory(smallest, 0, "a test")}
    enough = replace(SMALL, **limited)
    assert part_for(get("regular"), TASK, enough).kinds == ("regular",)


def test_what_cannot_be_met_is_refused_before_anything_is_trained() -> None:
    words = ["--budget", "2", "--device"]
    with pytest.raises(ImpossibleLimitError, match=r"--device esp32-s3: .* no grouped convolution"):
        set_up(read(["--space", "igc", *words, "esp32-s3"]))
    with pytest.raises(ProfileError, match="unknown device"):
        set_up(read(["--space", "igc", *words, "esp33"]))
    with pytest.raises(ImpossibleLimitError, match=r"studies\.export --device small"):
        part_for(ChoiceSpace("mine"), TASK, SMALL)


def test_a_type_that_says_no_operations_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TYPES.get("octave"), "operations", lambda *_: None)
    with pytest.raises(
        InvalidChoiceError, match=r"the type octave .* define its method operations"
    ):
        get("octave").on(SMALL.operators, 3)


def test_a_study_remembers_its_device_and_continues_with_or_without_it(tmp_path: Path) -> None:
    with_it = read(["--space", "regular", "--budget", "2", "--device", "pico", "--study", "s"])
    without = replace(with_it, device=None)
    other = replace(with_it, device="pico-2")
    store = Store(f"sqlite:///{tmp_path}/s.db", create=True)
    study = store.enter(describe(with_it, set_up(with_it)))
    assert Profile.from_json(study.device) == DEVICES.get("pico")
    assert study.space == get("regular").to_json()
    assert store.enter(describe(without, set_up(without))).device == study.device
    with pytest.raises(StoreError, match=r"has another device \(name: 'pico', now 'pico-2'\)"):
        store.enter(describe(other, set_up(other)))
    store.close()


BOARD = """\
name = "small-board"
title = "A board"
runtime = "A runtime without groups"

[ram]
total = "40 kB"
taken = "10 kB"
channel = 8
operation = 100
source = "a test"

[flash]
total = "200 kB"
taken = "100 kB"
channel = 28
source = "a test"

[operators]
has = [
  "convolution", "depthwise convolution", "average pool", "add", "relu", "mean", "linear", "scale"
]
source = "a test"
"""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_whole_search_for_a_board_and_an_export_that_says_that_it_fits(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(BOARD)
    profile = Profile.read(tmp_path / "board.toml")
    options = ["--space", "mixed", "--subset", "300", "--epochs", "1", "--study", "s"]
    printed = run(tmp_path, "searchers.run", *options, "--budget", "13", "--device", "board.toml")
    assert "device   small-board: A board" in printed
    task = Task(1, (8, 8), 10)
    with closing(sqlite3.connect(tmp_path / "convnas.db")) as connection:
        rows = connection.execute("SELECT architecture FROM nas_evaluations").fetchall()
    assert len(rows) >= 13
    for (text,) in rows:
        architecture = read_architecture(json.loads(text))
        assert isinstance(architecture, ResidualArchitecture)
        assert not profile.operators.obstacles(architecture.operations(task))
        taken = profile.taken_of(predict(architecture, task))
        assert taken is not None
        assert all(use.fits for use in profile.uses(taken))
    assert "of 30kB RAM" in run(tmp_path, "studies.pareto")
    (tmp_path / "board.toml").unlink()  # the study keeps what was in it
    front = json.loads(run(tmp_path, "studies.pareto", "--json"))
    assert {row["device"] for row in front} == {"small-board"}
    assert "fits small-board" in run(
        tmp_path, "studies.export", "--knee", "--int8", "--output", "a"
    )
    record = json.loads((tmp_path / "a" / "record.json").read_text())["device"]
    assert record["fits"]
    assert record["file"] == "model.int8.onnx"
    card = (tmp_path / "a" / "README.md").read_text()
    assert "by the table of the\ndevice's profile, not by the device's interpreter" in card
    (tmp_path / "tiny.toml").write_text(
        BOARD.replace("200 kB", "101 kB").replace('"convolution", ', "")
    )
    other = ["--device", "tiny.toml", "--output", "b"]
    told = run(tmp_path, "studies.export", "--knee", *other)
    assert "DOES NOT FIT small-board" in told
    assert "its runtime has no convolution" in told
    assert "counted on model.onnx, as in int8" in told
    assert not json.loads((tmp_path / "b" / "record.json").read_text())["device"]["fits"]
    printed = run(tmp_path, "studies.report", "--output", "r.html")
    assert "The networks are for the device small-board" in (tmp_path / "r.html").read_text()
