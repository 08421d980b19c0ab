"""How the images of a search reach its workers: by path, or, on other machines, as they are."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import searchers.search
from searchers.ray.resources import Resources
from searchers.ray.worker import TrainingJob
from searchers.search import training
from searchers.settings import Settings
from searchers.setup import SearchSetup, set_up
from trainers.data.splits import DatasetError

HERE = Resources(concurrency=1, cpus=1, gpus=0)


@pytest.fixture
def setup(tmp_path: Path) -> SearchSetup:
    for label in ("cat", "dog"):
        (tmp_path / "album" / label).mkdir(parents=True)
        for i in range(20):
            noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "album" / label / f"{i}.png")
    storage = f"sqlite:///{tmp_path}/x.db"
    return set_up(Settings(space="igc", budget=1, dataset=str(tmp_path / "album"), storage=storage))


def carries_pixels(setup: SearchSetup, resources: Resources) -> bool:
    job = training(setup, resources)
    sent = pickle.dumps(job)
    found = pickle.loads(sent)  # noqa: S301 - our own
    assert isinstance(found, TrainingJob)
    pixels = setup.dataset.search.train.pixels
    assert np.array_equal(found.data.train.pixels, pixels)
    return pixels.tobytes() in sent


def test_workers_of_this_machine_open_the_file_and_others_get_the_pixels(
    setup: SearchSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not carries_pixels(setup, HERE)
    assert carries_pixels(setup, replace(HERE, here=False))
    monkeypatch.setattr(searchers.search, "free_memory", lambda: 1000)
    assert not carries_pixels(setup, HERE)
    with pytest.raises(DatasetError, match=r"on each machine of the cluster, .* without --address"):
        training(setup, replace(HERE, here=False))
