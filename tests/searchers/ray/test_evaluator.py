"""What a worker does with a configuration."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from safetensors.torch import load as tensors_of

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from searchers.ray.evaluator import Evaluator
from searchers.ray.worker import Carried
from trainers.data.registry import load
from trainers.data.splits import SearchData
from trainers.recipes import RECIPES

RECIPE = dataclasses.replace(RECIPES.get("quick"), epochs=3)
ARCHITECTURE = get("mixed").smallest(Task(1, (8, 8), 10)).text


@pytest.fixture(scope="module")
def data() -> SearchData:
    return load("digits", subset=300).search


@pytest.fixture(scope="module")
def evaluate(data: SearchData) -> Iterator[Evaluator]:
    threads = torch.get_num_threads()
    yield Evaluator(data, RECIPE, 1)
    torch.set_num_threads(threads)


def configured(epochs: int, checkpoint: bytes | None = None, **more: object) -> dict[str, Any]:
    parts: dict[str, Any] = {"architecture": ARCHITECTURE, "seed": 0, "start": 1}
    return parts | {"epochs": epochs, "checkpoint": Carried(checkpoint)} | more


def test_a_training_that_goes_on_ends_as_one_that_was_never_put_aside(evaluate: Evaluator) -> None:
    whole = evaluate(configured(3))
    partial = evaluate(configured(1))
    assert partial.keys() == {
        "val_accuracy",
        "answers",
        "train_loss",
        "seconds",
        "start",
        "checkpoint",
        "device",
    }
    rest = evaluate(configured(3, partial["checkpoint"]))
    assert (whole["start"], partial["start"], rest["start"]) == (0, 0, 1)
    for name in ("val_accuracy", "train_loss"):
        assert rest[name] == whole[name]
    first, second = tensors_of(whole["weights"]), tensors_of(rest["weights"])
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert rest["seconds"] < whole["seconds"] + partial["seconds"]


@pytest.mark.parametrize("damage", ["of another seed", "cut off", "of something else"])
def test_a_checkpoint_that_is_of_no_use_is_trained_again(evaluate: Evaluator, damage: str) -> None:
    data: bytes = evaluate(configured(1))["checkpoint"]
    broken = {"of another seed": data, "cut off": data[:-100], "of something else": b"{}"}[damage]
    seed = 1 if damage == "of another seed" else 0
    found = evaluate(configured(3, broken, seed=seed))
    whole = evaluate(configured(3, seed=seed))
    assert found["start"] == 0
    assert found["val_accuracy"] == whole["val_accuracy"]


def test_a_training_that_fails_is_a_result(evaluate: Evaluator) -> None:
    found = evaluate(configured(1) | {"architecture": "{}"})
    assert found["error"]
    assert "\n" not in found["error"]


def test_a_checkpoint_does_not_show_where_configurations_are_named() -> None:
    assert str(Carried(bytes(10**6))) == "Carried()"
