"""A training that was interrupted ends as one that was left alone."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from trainers import devices
from trainers.checkpoints import Checkpoint, CheckpointError
from trainers.data.registry import load
from trainers.data.splits import SearchData
from trainers.recipes import RECIPES
from trainers.training import Outcome, Trainer

CPU = devices.Device(torch.device("cpu"), None)
BF16 = devices.Device(torch.device("cpu"), torch.bfloat16)
RECIPE = dataclasses.replace(RECIPES.get("full"), epochs=4)


class StoppedError(Exception):
    """Stands for whatever ends a training."""


@pytest.fixture(scope="module")
def data() -> SearchData:
    return load("digits", subset=300).search


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1, groups=2),
            nn.BatchNorm2d(16),
            nn.Flatten(),
            nn.Linear(16 * 64, 10),
        )


def train(trainer: Trainer, checkpoint: Checkpoint | None, stop: int | None = None) -> Outcome:
    return trained(trainer, checkpoint, stop)[1]


def trained(
    trainer: Trainer, checkpoint: Checkpoint | None, stop: int | None = None
) -> tuple[nn.Module, Outcome]:
    def interrupt(epoch: int, _loss: float) -> None:
        if epoch == stop:
            raise StoppedError

    module = network()
    return module, trainer.train(module, seed=3, on_epoch=interrupt, checkpoint=checkpoint)


@pytest.mark.parametrize("device", [CPU, BF16], ids=["fp32", "bf16"])
def test_interrupted_after_any_epochs_it_ends_with_the_same_numbers_and_weights(
    data: SearchData, device: devices.Device, tmp_path: Path
) -> None:
    trainer = Trainer(data, RECIPE, device)
    module, outcome = trained(trainer, None)
    for stops in ((1,), (2,), (3,), (4,), (1, 2, 3), (2, 4)):
        checkpoint = Checkpoint(tmp_path / f"{stops}.checkpoint", "q")
        for stop in stops:
            with pytest.raises(StoppedError):
                train(trainer, checkpoint, stop)
        again, resumed = trained(trainer, checkpoint)
        assert (resumed.val_accuracy, resumed.train_loss) == (
            outcome.val_accuracy,
            outcome.train_loss,
        )
        expected = module.state_dict()
        assert all(torch.equal(expected[name], t) for name, t in again.state_dict().items())


def test_so_it_does_where_images_are_mixed_and_weights_averaged(
    data: SearchData, tmp_path: Path
) -> None:
    changes = dataclasses.replace(RECIPE, crop=0.5, colour=0.2, erasing=0.3, mixup=0.2, cutmix=1.0)
    recipe = dataclasses.replace(changes, ema=0.9, decays_norms=False)
    trainer = Trainer(data, recipe, CPU)
    module, outcome = trained(trainer, None)
    checkpoint = Checkpoint(tmp_path / "c", "q")
    for stop in (1, 4):
        with pytest.raises(StoppedError):
            train(trainer, checkpoint, stop)
    again, resumed = trained(trainer, checkpoint)
    assert (resumed.val_accuracy, resumed.train_loss) == (outcome.val_accuracy, outcome.train_loss)
    expected = module.state_dict()
    assert all(torch.equal(expected[name], t) for name, t in again.state_dict().items())


def test_keeping_checkpoints_changes_nothing(data: SearchData, tmp_path: Path) -> None:
    trainer = Trainer(data, RECIPE, CPU)
    alone, kept = (
        train(trainer, checkpoint) for checkpoint in (None, Checkpoint(tmp_path / "c", "q"))
    )
    assert (alone.val_accuracy, alone.train_loss) == (kept.val_accuracy, kept.train_loss)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_seconds_are_those_of_all_runs(data: SearchData, tmp_path: Path) -> None:
    trainer, checkpoint = Trainer(data, RECIPE, CPU), Checkpoint(tmp_path / "c", "q")
    with pytest.raises(StoppedError):
        train(trainer, checkpoint, stop=4)
    with safe_open(tmp_path / "c", framework="pt") as file:
        before = json.loads(file.metadata()["training"])["seconds"]
    assert 0 < before < train(trainer, checkpoint).seconds


def test_a_checkpoint_without_its_tensors_is_refused(data: SearchData, tmp_path: Path) -> None:
    trainer, checkpoint = Trainer(data, RECIPE, CPU), Checkpoint(tmp_path / "c", "q")
    with pytest.raises(StoppedError):
        train(trainer, checkpoint, stop=1)
    with safe_open(tmp_path / "c", framework="pt") as file:
        told = file.metadata()["training"]
    save_file({"x": torch.zeros(1)}, tmp_path / "c", metadata={"training": told})
    with pytest.raises(CheckpointError, match="is damaged"):
        train(trainer, checkpoint)


@pytest.mark.parametrize(
    "content", [b"", b"no safetensors", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"], ids=repr
)
def test_a_damaged_checkpoint_is_refused(data: SearchData, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged: delete it to train anew"):
        train(Trainer(data, RECIPE, CPU), Checkpoint(tmp_path / "c", "q"))


def test_a_checkpoint_of_another_training_is_refused(data: SearchData, tmp_path: Path) -> None:
    trainer = Trainer(data, RECIPE, CPU)
    with pytest.raises(StoppedError):
        train(trainer, Checkpoint(tmp_path / "c", "one"), stop=1)
    with pytest.raises(CheckpointError, match="is of another training: delete it"):
        train(trainer, Checkpoint(tmp_path / "c", "two"))
