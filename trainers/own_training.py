"""Trainings by a function of the user's own, in the place of `trainers.training.Trainer`."""

import hashlib
import inspect
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_space.errors import ConvnasError, error_line
from trainers import evaluators
from trainers.checkpoints import CheckpointError, CheckpointInMemory, CheckpointStore
from trainers.data.splits import SearchData
from trainers.devices import Device
from trainers.evaluators import EvaluatorError
from trainers.metrics import Metric, number
from trainers.recipes import Recipe
from trainers.training import Trainer

_ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of a training by a function, under the names of `Outcome`.

    Attributes:
        val_accuracy: the function's score.
        seconds: wall time of the call.
        answers: unknown.
        train_loss: unknown.
    """

    val_accuracy: float
    seconds: float
    answers: None = None
    train_loss: None = None


class _OfImages(nn.Module):
    """A network for images from 0 to 1, as an export is, from one for normalised images."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, data: SearchData) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            values = torch.tensor(getattr(data, name)).view(1, -1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


class OwnTrainer:
    """Has a function train networks on one data set, and say how good they are.

    Args:
        data: what a search may see.
        recipe: names the function, see `Recipe.evaluate`.
        device: where modules are when the function gets them.
    """

    def __init__(self, data: SearchData, recipe: Recipe, device: Device) -> None:
        assert recipe.evaluate is not None  # noqa: S101 - see `trainer_for`
        self._data, self._recipe, self._device = data, recipe, device
        self._function = evaluators.function(recipe.evaluate)
        self._takes = inspect.signature(self._function).parameters

    def train(
        self,
        module: nn.Module,
        *,
        seed: int,
        on_epoch: Callable[[int, float], None] | None = None,  # noqa: ARG002 - its own affair
        checkpoint: CheckpointStore | None = None,
        until: int | None = None,
    ) -> Judgement:
        """See `Trainer.train`. The score stands where an accuracy would; there is no loss.

        Raises:
            EvaluatorError: what it returns is no number.
            CheckpointError: the checkpoint is of another training.
        """
        begin = time.perf_counter()
        _seed(seed)
        seen = _OfImages(module, self._data).to(self._device.where)
        pauses = "checkpoint" in self._takes
        bag = checkpoint if pauses and isinstance(checkpoint, CheckpointInMemory) else None
        given: dict[str, Any] = {"seed": seed} if "seed" in self._takes else {}
        if pauses:
            given["checkpoint"] = _opened(bag) if bag is not None else None
        epochs = self._recipe.epochs if until is None else min(until, self._recipe.epochs)
        try:
            found = self._function(module=seen, data=self._data, epochs=epochs, **given)
        except (ConvnasError, torch.AcceleratorError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise EvaluatorError(
                f"{self._recipe.evaluate} failed: {error_line(error)} "
                f"({Path(last.filename).name}, line {last.lineno})"
            ) from error
        score, state = found, None
        if pauses:
            if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], bytes)):  # noqa: PLR2004 - a pair
                raise EvaluatorError(
                    f"{self._recipe.evaluate} takes a checkpoint: it must return a score and bytes"
                )
            score, state = found
        if bag is not None and epochs == bag.until and state is not None:
            bag.data = _id(bag) + state
        return Judgement(self._checked(score), time.perf_counter() - begin)

    def _checked(self, score: Any) -> float:  # noqa: ANN401 - whatever the function gives
        value = number(score)
        if not Metric("").holds(value):
            raise EvaluatorError(
                f"{self._recipe.evaluate} gave {score!r}, which is no number below 1e100"
            )
        return value


def trainer_for(data: SearchData, recipe: Recipe, device: Device) -> Trainer | OwnTrainer:
    """What trains and judges networks by a recipe."""
    if recipe.evaluate is None:
        return Trainer(data, recipe, device)
    return OwnTrainer(data, recipe, device)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the function may use the global one
    torch.manual_seed(seed)


def _id(bag: CheckpointInMemory) -> bytes:
    return hashlib.sha256(bag.training_id.encode()).digest()


def _opened(bag: CheckpointInMemory) -> bytes | None:
    if bag.data is None:
        return None
    if bag.data[:_ID_BYTES] != _id(bag):
        raise CheckpointError("is of another training")
    return bag.data[_ID_BYTES:]
