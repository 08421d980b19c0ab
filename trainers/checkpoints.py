"""A training that can be killed at any moment: its state after an epoch, in one safetensors file.

Nothing in the file is executed when it is read, and it is replaced whole or not at all.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trainers.files import write_whole

_MODULE, _MOMENTUM, _GENERATOR = "module/", "momentum/", "generator"


class CheckpointError(ValueError):
    """A checkpoint that is damaged or of another training; the message says what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """All that a training changes as it goes.

    Attributes:
        module: that is trained.
        optimizer: SGD of its parameters.
        generator: of the order of images and their augmentation.
        scaler: of the gradients in fp16.
    """

    module: nn.Module
    optimizer: torch.optim.SGD
    generator: torch.Generator
    scaler: torch.amp.GradScaler


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a training stands: epochs that are over, mean loss of the last, seconds they took."""

    epoch: int
    loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the state of one training is kept.

    Attributes:
        path: of the file.
        question: says which training this is: network, data, recipe, seed. A file of another one
            is refused.
    """

    path: Path
    question: str

    def save(self, state: State, mark: Mark) -> None:
        """Keep the state after an epoch.

        Raises:
            OSError: the file cannot be written; an older one stays as it was.
        """
        tensors = {_GENERATOR: state.generator.get_state()}
        for name, tensor in state.module.state_dict().items():
            tensors[_MODULE + name] = tensor
        for name, parameter in state.module.named_parameters():
            momentum = state.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[_MOMENTUM + name] = momentum
        told = {
            "question": self.question,
            "epoch": mark.epoch,
            "loss": mark.loss,
            "seconds": mark.seconds,
            "scaler": state.scaler.state_dict(),
        }
        contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        write_whole(self.path, save(contiguous, metadata={"training": json.dumps(told)}))

    def restore(self, state: State) -> Mark | None:
        """Bring the state to what was kept; None, and no change, if nothing was.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                told = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            mark = Mark(int(told["epoch"]), float(told["loss"]), float(told["seconds"]))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            raise CheckpointError(f"{self.path} is damaged: delete it to train anew") from None
        if told["question"] != self.question:
            raise CheckpointError(f"{self.path} is of another training: delete it to train anew")
        try:
            _restore(state, tensors)
            state.scaler.load_state_dict(told["scaler"])
        except (RuntimeError, KeyError):
            raise CheckpointError(f"{self.path} is damaged: delete it to train anew") from None
        return mark

    def drop(self) -> None:
        """Forget it: the training is over and its result is kept."""
        self.path.unlink(missing_ok=True)


def _restore(state: State, tensors: dict[str, Tensor]) -> None:
    state.generator.set_state(tensors[_GENERATOR])
    state.module.load_state_dict(
        {
            name.removeprefix(_MODULE): tensor
            for name, tensor in tensors.items()
            if name.startswith(_MODULE)
        }
    )
    for name, parameter in state.module.named_parameters():
        kept = tensors.get(_MOMENTUM + name)
        if kept is not None:
            # In the layout of the parameter: the fused kernel walks both in the order of memory.
            momentum = torch.empty_like(parameter, requires_grad=False).copy_(kept)
            state.optimizer.state[parameter]["momentum_buffer"] = momentum
