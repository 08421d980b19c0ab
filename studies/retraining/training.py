"""One member of a front trained with a fresh seed: what a process of the pool does."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture
from studies.records.reasons import reason_of
from studies.retraining.plan import RetrainingTask
from trainers import devices
from trainers.data.splits import SearchData
from trainers.machine import cores, versions
from trainers.own_training import Judgement, OwnTrainer, trainer_for
from trainers.recipes import Recipe
from trainers.training import Outcome, Trainer

_TRAININGS_PER_GPU = 4


def _versions() -> dict[str, str]:
    return versions("convnas", "torch", "numpy")


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a training.

    Attributes:
        device: that it ran on.
        outcome: the numbers; None if it failed.
        error: why it failed, in one line.
        versions: of Python and the libraries.
    """

    device: str
    outcome: Outcome | Judgement | None = None
    error: str | None = None
    versions: dict[str, str] = field(default_factory=_versions)


@dataclass(frozen=True, slots=True)
class RetrainingSetup:
    """Prepares a process to train networks; sent there with the images.

    Attributes:
        data: the train and validation splits, without test images.
        recipe: how to train.
    """

    data: SearchData
    recipe: Recipe

    def __call__(self) -> Callable[[RetrainingTask], Trained]:
        """Put the images on the device."""
        torch.set_num_threads(1)  # other processes use the other cores
        device = devices.best(min(self.data.shape[1:]))
        trainer = trainer_for(self.data, self.recipe, device)

        def train(task: RetrainingTask) -> Trained:
            try:
                return Trained(device.name, self._outcome(task, trainer))
            except torch.AcceleratorError:
                raise  # the device no longer works in this process
            except Exception as error:  # noqa: BLE001 - a failure is a row, not an end
                return Trained(device.name, error=reason_of(error))
            finally:
                if device.where.type == "cuda":
                    # Other processes share the GPU and need the memory that this one would keep.
                    torch.cuda.empty_cache()

        return train

    def _outcome(self, task: RetrainingTask, trainer: Trainer | OwnTrainer) -> Outcome | Judgement:
        architecture = read_architecture(task.architecture)
        channels, classes = self.data.shape[0], len(self.data.classes)
        network = build(architecture, channels, classes, seed=task.seed)
        return trainer.train(network, seed=task.seed)


def workers() -> int:
    """How many trainings run side by side: one per core, or as many as share a GPU in a search."""
    return min(cores(), _TRAININGS_PER_GPU) if torch.cuda.is_available() else cores()
