"""A search as a notebook asks for it."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pandas as pd
import pytest
from PIL import Image

from nas_space.spaces.building import build
from searchers import notebook
from searchers.notebook import ExportOptions, Found, RefusedError, SearchOptions, load, search
from searchers.terminal import arguments
from studies.export import command as export
from tests.studies.report.test_html import Reader

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("notebook")
    return search(
        "mixed",
        3,
        epochs=1,
        rungs=[1],
        max_macs="2M",
        storage=f"sqlite:///{folder / 'convnas.db'}",
        study="n",
    )


@pytest.mark.slow
def test_what_was_found_is_a_frame_of_all_and_one_of_the_front(found: Found) -> None:
    assert len(found.evaluations) == 3
    assert (found.evaluations["macs"] <= 2_000_000).all()
    assert set(found.front.index) <= set(found.evaluations.index)
    assert found.front["macs"].is_monotonic_increasing
    assert found.front["val_accuracy"].is_monotonic_increasing
    assert isinstance(found.front, pd.DataFrame)


@pytest.mark.slow
def test_no_setting_of_its_ray_is_left_behind(found: Found) -> None:
    # With some of them, `ray start` in a notebook's shell would refuse.
    assert found.storage
    ours = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"}
    assert not ours & os.environ.keys()


@pytest.mark.slow
def test_a_rule_means_a_row_and_its_architecture_can_be_built(found: Found) -> None:
    best = found.best()
    assert best["val_accuracy"] == found.front["val_accuracy"].max()
    cheapest = found.best(max_macs=int(found.front["macs"].min()))
    assert cheapest["macs"] == found.front["macs"].min()
    parameters = build(best["architecture"], 1, 10).parameters()
    assert sum(parameter.numel() for parameter in parameters) == best["params"]
    with pytest.raises(RefusedError, match="the smallest network of the front has"):
        found.best(max_macs=1)


@pytest.mark.slow
def test_it_is_the_study_that_the_command_line_has(found: Found) -> None:
    again = load(storage=found.storage)
    assert again == found
    listed = subprocess.run(
        [sys.executable, "-m", "studies.pareto", "--csv", "--storage", found.storage],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(listed.stdout.splitlines()) == 1 + len(found.front)
    more = search("mixed", 3, epochs=1, rungs=[1], max_macs="2M", storage=found.storage, study="n")
    assert len(more.evaluations) == 3, "its budget is spent"


@pytest.mark.slow
def test_it_writes_the_report_and_shows_its_front(found: Found, tmp_path: Path) -> None:
    place = found.report(tmp_path / "r.html")
    assert "How the front grew" in place.read_text()
    tags = [tag for tag, _ in Reader(found._repr_html_()).tags]
    assert "svg" in tags
    assert "table" in tags


@pytest.mark.slow
def test_it_exports_what_a_rule_means(found: Found, tmp_path: Path) -> None:
    folder = found.export(tmp_path / "best", knee=True)
    assert (folder / "model.py").exists()
    with pytest.raises(RefusedError, match=r"--epochs says how to train anew: add --retrain"):
        found.export(tmp_path / "other", knee=True, epochs=3)
    with pytest.raises(RefusedError, match="is no positive number"):
        found.export(tmp_path / "other", max_macs="much")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_macs": "lots"}, "argument --max-macs: 'lots' is no positive number"),
        ({"dataset": "no/such/folder"}, "no/such/folder"),
        ({"sampler": "cmaes"}, "unknown sampler 'cmaes'"),
        ({"max_macs": 1}, "--max-macs 1 cannot be kept"),
        ({"plugin": ["my_type.py"]}, "--plugin 'my_type.py' is no name of a module"),
        ({"limit": ["depth=3"]}, "unknown objective 'depth'"),
        ({"colour": "red"}, "unrecognized arguments: --colour red"),
    ],
)
def test_what_the_command_refuses_is_raised_with_its_line(
    options: SearchOptions, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RefusedError) as refusal:
        search("mixed", 2, **options)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert capsys.readouterr().err == ""


def test_a_folder_of_images_may_begin_with_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for number, place in enumerate(f"{label}/{i}" for label in ("cat", "dog") for i in range(10)):
        path = tmp_path / "photos" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((9, 8)).rotate(number).save(path)
    # They are found there: what is said is about the limit.
    with pytest.raises(RefusedError, match="--max-macs 1 cannot be kept"):
        search("mixed", 2, dataset="~/photos", max_macs=1)


@pytest.mark.slow
def test_a_study_that_is_not_there_is_refused(found: Found) -> None:
    with pytest.raises(RefusedError, match="no study 'none'"):
        load("none", found.storage)
    with pytest.raises(RefusedError, match="no database at"):
        load(storage="sqlite:///none.db")


def names(parser: argparse.ArgumentParser) -> set[str]:
    return {action.dest for action in parser._actions} - {"help"}


def test_it_has_the_options_of_the_commands() -> None:
    assert set(get_type_hints(SearchOptions)) | {"space", "budget"} == names(arguments._parser())
    elsewhere = {"study", "storage", "output"}
    assert set(get_type_hints(ExportOptions)) | elsewhere == names(export._parser())


def test_options_become_the_words_of_a_command() -> None:
    given = {"max_macs": "2M", "rungs": (1, 3), "no_flip": True, "verbose": False, "seed": 0}
    assert notebook._argv(given) == [
        "--max-macs",
        "2M",
        "--rungs",
        "1,3",
        "--no-flip",
        "--seed",
        "0",
    ]
