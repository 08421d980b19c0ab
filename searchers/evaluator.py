"""One network built, trained and measured: what a worker does with a configuration."""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save

from nas_space.architecture import Architecture
from nas_space.network import build
from trainers import devices
from trainers.data import SearchData
from trainers.recipes import Recipe
from trainers.training import Trainer


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
        self._device = devices.best(min(data.shape[1:]))
        self._trainer = Trainer(data, recipe, self._device)

    def __call__(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Train ``config["architecture"]`` (JSON text) with ``config["seed"]``.

        A training that fails is a result like any other, so that the worker lives on.

        Raises:
            torch.AcceleratorError: the device's context is broken for good, and with it the
                process.
        """
        device = self._device.name
        try:
            return self._evaluate(config) | {"device": device}
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - a failing trial is a row, not an end
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            return {"error": reason, "device": device}
        finally:
            if self._device.where.type == "cuda":
                # Other workers share the GPU; what this one keeps they cannot have.
                torch.cuda.empty_cache()

    def _evaluate(self, config: Mapping[str, Any]) -> dict[str, Any]:
        channels, classes = self._data.shape[0], len(self._data.classes)
        architecture = Architecture.from_json(config["architecture"])
        seed = config["seed"]
        network = build(architecture, channels, classes, seed=seed)
        outcome = self._trainer.train(network, seed=seed)
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in network.state_dict().items()
        }
        return {
            "val_accuracy": outcome.val_accuracy,
            "train_loss": outcome.train_loss,
            "seconds": outcome.seconds,
            "weights": save(tensors),
        }
