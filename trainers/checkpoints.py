"""The state of a training after an epoch: it can be killed, or paused, and continued.

The state is packed in safetensors form: reading it executes nothing. A file is replaced as a whole
or not at all; in memory the state is sent to where the training continues.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from nas_space.errors import ConvnasError
from trainers.descent import Descent, MovingAverage
from trainers.files import write_whole

_MODULE, _MOMENTUM, _GENERATOR = "module/", "momentum/", "generator"
_AVERAGE = "average/"


class CheckpointError(ConvnasError):
    """A checkpoint that is damaged or of another training; the message says what to do."""


@dataclass(frozen=True, slots=True)
class State:
    """All that a training changes.

    Attributes:
        module: in training.
        optimizer: of its parameters.
        generator: of the order of images and their augmentation.
        scaler: of the gradients in fp16.
        average: of the module's weights, if the recipe has one.
    """

    module: nn.Module
    optimizer: Descent
    generator: torch.Generator
    scaler: torch.amp.GradScaler
    average: MovingAverage | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a training is: finished epochs, mean loss of the last, seconds they took."""

    epoch: int
    loss: float
    seconds: float


class CheckpointStore(Protocol):
    """Keeps the state of one training."""

    def save(self, state: State, mark: Mark) -> None:
        """Keep the state after an epoch."""

    def restore(self, state: State) -> Mark | None:
        """Restore the kept state; None, and no change, if none was kept."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file that keeps the state of one training.

    Attributes:
        path: of the file.
        training_id: identifies the training: network, data, recipe, seed. A file of another
            training is refused.
    """

    path: Path
    training_id: str

    def save(self, state: State, mark: Mark) -> None:
        """Keep the state after an epoch.

        Raises:
            OSError: the file cannot be written; an older one stays as it was.
        """
        write_whole(self.path, _pack(state, mark, self.training_id))

    def restore(self, state: State) -> Mark | None:
        """Restore the kept state; None, and no change, if none was kept.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        try:
            return _unpack(self.path.read_bytes(), state, self.training_id)
        except FileNotFoundError:
            return None
        except OSError:
            reason = "is damaged"
        except CheckpointError as error:
            reason = str(error)
        raise CheckpointError(f"{self.path} {reason}: delete it to train anew")

    def drop(self) -> None:
        """Delete the file: the training is over and its result is kept."""
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class CheckpointInMemory:
    """The state of a training that pauses after an epoch, in memory.

    Attributes:
        training_id: see `Checkpoint`.
        until: the epoch after which it pauses.
        data: the packed state to continue from; at the end, the new state.
    """

    training_id: str
    until: int
    data: bytes | None = None

    def save(self, state: State, mark: Mark) -> None:
        """Keep the state if this is the epoch; its seconds count for this part only."""
        if mark.epoch == self.until:
            self.data = _pack(state, Mark(mark.epoch, mark.loss, 0.0), self.training_id)

    def restore(self, state: State) -> Mark | None:
        """Restore the kept state; None, and no change, if none was kept.

        Raises:
            CheckpointError: the data are damaged, or of another training.
        """
        return None if self.data is None else _unpack(self.data, state, self.training_id)


def _pack(state: State, mark: Mark, training_id: str) -> bytes:
    tensors = {_GENERATOR: state.generator.get_state()}
    for name, tensor in state.module.state_dict().items():
        tensors[_MODULE + name] = tensor
    for name, parameter in state.module.named_parameters():
        momentum = state.optimizer.momenta.get(parameter)
        if momentum is not None:
            tensors[_MOMENTUM + name] = momentum
    if state.average is not None:
        for name, tensor in state.average.values.items():
            tensors[_AVERAGE + name] = tensor
    told = {
        "question": training_id,
        "epoch": mark.epoch,
        "loss": mark.loss,
        "seconds": mark.seconds,
        "scaler": state.scaler.state_dict(),
    }
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"training": json.dumps(told)})


def _unpack(data: bytes, state: State, training_id: str) -> Mark:
    """Restore the packed state.

    Raises:
        CheckpointError: it is damaged, or of another training; the state may be half changed.
    """
    try:
        told, tensors = _told(data), load(data)
        mark = Mark(int(told["epoch"]), float(told["loss"]), float(told["seconds"]))
        same = told["question"] == training_id
        if same:
            _restore(state, tensors)
            state.scaler.load_state_dict(told["scaler"])
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError):
        raise CheckpointError("is damaged") from None
    if not same:
        raise CheckpointError("is of another training")
    return mark


def _told(data: bytes) -> dict[str, Any]:
    """What `_pack` stored beside the tensors; the library reads that only from files."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    told: dict[str, Any] = json.loads(header["__metadata__"]["training"])
    return told


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
            # In the layout of the parameter: the fused kernel goes through both in memory order.
            momentum = torch.empty_like(parameter, requires_grad=False).copy_(kept)
            state.optimizer.momenta[parameter] = momentum
    if state.average is not None:
        for name, value in state.average.values.items():
            value.copy_(tensors[_AVERAGE + name])
