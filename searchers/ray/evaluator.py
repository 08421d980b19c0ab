"""The work of a trial: a network is built, trained and measured."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture
from studies.records.reasons import reason_of
from trainers import devices
from trainers.checkpoints import CheckpointError, CheckpointInMemory
from trainers.data.splits import SearchData
from trainers.own_training import trainer_for
from trainers.recipes import Recipe


class Evaluator:
    """Trains architectures on one data set, which stays on the device.

    Args:
        data: the train and validation splits.
        recipe: how to train.
        threads: CPU threads to use.
    """

    def __init__(self, data: SearchData, recipe: Recipe, threads: int) -> None:
        torch.set_num_threads(threads)
        self._data = data
        self._recipe = recipe
        self._device = devices.best(min(data.shape[1:]))
        self._trainer = trainer_for(data, recipe, self._device)

    def __call__(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Train ``config["architecture"]`` (JSON text) with ``config["seed"]``.

        It is trained for ``config["epochs"]``. If there is a ``config["checkpoint"]``, which is of
        ``config["start"]`` epochs, the training continues from it.

        A training that fails is a result like any other, and the worker stays alive.

        Raises:
            torch.AcceleratorError: the device no longer works in this process.
        """
        device = self._device.name
        try:
            return self._evaluate(config) | {"device": device}
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - a failing trial is a row, not an end
            return {"error": reason_of(error), "device": device}
        finally:
            if self._device.where.type == "cuda":
                # Other workers share the GPU and need the memory that this one would keep.
                torch.cuda.empty_cache()

    def _evaluate(self, config: Mapping[str, Any]) -> dict[str, Any]:
        channels, classes = self._data.shape[0], len(self._data.classes)
        architecture = read_architecture(config["architecture"])
        seed, epochs = config["seed"], config["epochs"]
        identity = json.dumps([architecture.key, seed, self._recipe.to_json()], sort_keys=True)
        bag = CheckpointInMemory(identity, epochs, config["checkpoint"].data)
        start = 0 if bag.data is None else config["start"]
        network = build(architecture, channels, classes, seed=seed)
        try:
            outcome = self._trainer.train(network, seed=seed, checkpoint=bag, until=epochs)
        except CheckpointError:
            # It is of another seed, or damaged: train its epochs again.
            bag, start = CheckpointInMemory(identity, epochs), 0
            network = build(architecture, channels, classes, seed=seed)
            outcome = self._trainer.train(network, seed=seed, checkpoint=bag, until=epochs)
        found = {
            "val_accuracy": outcome.val_accuracy,
            "answers": None if outcome.answers is None else outcome.answers.to_json(),
            "train_loss": outcome.train_loss,
            "seconds": outcome.seconds,
            "start": start,
        }
        if epochs < self._recipe.epochs:
            return found | {"checkpoint": bag.data}
        return found | {"weights": save(_on_cpu(network))}


def _on_cpu(network: nn.Module) -> dict[str, Tensor]:
    state = network.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
