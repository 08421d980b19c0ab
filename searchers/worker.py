"""What runs in Ray's worker processes: one warm trainable that evaluates one network a trial."""

from typing import Any

import torch
from ray.tune import Trainable
from safetensors.torch import save

from nas_space.architecture import Architecture
from nas_space.network import build
from trainers import devices
from trainers.data import SearchData
from trainers.recipes import Recipe
from trainers.training import Trainer


class Worker(Trainable):
    """Trains the architecture of its trial; the process and the data stay for the next trial.

    A training that fails is a result like any other, so that the worker lives on.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], *, data: SearchData, recipe: Recipe, threads: int
    ) -> None:
        """Take in what all trials share.

        Args:
            config: of the first trial; see `step`.
            data: the train and validation splits.
            recipe: how to train.
            threads: CPU threads of this worker.
        """
        torch.set_num_threads(threads)
        self.config = config
        self._data = data
        self._device = devices.best()
        self._trainer = Trainer(data, recipe, self._device)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; True tells Ray Tune to keep this process."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train ``config["architecture"]`` (JSON text) with ``config["seed"]``: the whole trial."""
        device = self._device.name
        try:
            return self._evaluate() | {"device": device, "done": True}
        except torch.AcceleratorError:
            # The device's context is broken for good: let this process go, with the trial.
            raise
        except Exception as error:  # noqa: BLE001 - a failing trial is a row, not an end
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            if self._device.where.type == "cuda":
                torch.cuda.empty_cache()
            return {"error": reason, "device": device, "done": True}

    def _evaluate(self) -> dict[str, Any]:
        channels = self._data.shape[0]
        architecture = Architecture.from_json(self.config["architecture"])
        seed = self.config["seed"]
        network = build(architecture, channels, len(self._data.classes), seed=seed)
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
