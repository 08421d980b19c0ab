"""An exported network: a folder with weights, architecture, task, model card and loader.

The folder appears whole or not at all. Weights are safetensors: nothing in it is ever unpickled
or executed when it is loaded.
"""

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas_space.architecture import Architecture, InvalidArchitectureError
from nas_space.convs import InvalidChoiceError
from nas_space.cost import Task, predict
from nas_space.network import build

_WEIGHTS, _ARCHITECTURE, _TASK, _CARD = (
    "weights.safetensors",
    "architecture.json",
    "task.json",
    "README.md",
)
_LOADER = '''\
"""Loads this network: `from load import load; network = load()`. Needs convnas installed."""

from pathlib import Path

from torch import nn

from studies.bundle import Bundle


def load() -> nn.Module:
    """The trained network in eval mode: images (N, C, H, W) in 0 to 1 give logits."""
    return Bundle.read(Path(__file__).parent).network
'''


_NOT_JSON = (ValueError, RecursionError)


class BundleError(ValueError):
    """A folder that is no exported network, or that is damaged."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What the network expects of an image, and what its outputs mean.

    Attributes:
        shape: channels, height and width.
        mean: of each channel, on the scale 0 to 1.
        std: of each channel, likewise.
        classes: names, in the order of the logits.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Any) -> Self:  # noqa: ANN401 - JSON
        """Read it back.

        Raises:
            BundleError: it has another form.
        """
        try:
            channels, height, width = (int(side) for side in data["shape"])
            mean, std = (tuple(float(x) for x in data[name]) for name in ("mean", "std"))
            classes = tuple(str(name) for name in data["classes"])
        except (TypeError, KeyError, ValueError, OverflowError):
            raise BundleError(f"{_TASK} needs shape, mean, std and classes") from None
        if min(channels, height, width) < 1 or {len(mean), len(std)} != {channels}:
            raise BundleError(f"{_TASK}: mean and std need one number for each channel")
        return cls((channels, height, width), mean, std, classes)


class Classifier(nn.Module):
    """A network with its normalisation: images (N, C, H, W), 0 to 1, to logits (N, classes)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


@dataclass(frozen=True, slots=True)
class Bundle:
    """An exported network in memory.

    Attributes:
        architecture: what it is.
        preprocessing: what it is for.
        network: trained, in eval mode, on the CPU; normalises its input itself.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    network: Classifier

    @classmethod
    def assemble(
        cls, architecture: Architecture, preprocessing: Preprocessing, weights: dict[str, Tensor]
    ) -> Self:
        """Put a network together from its parts.

        Raises:
            BundleError: the weights belong to another architecture.
        """
        channels, classes = preprocessing.shape[0], len(preprocessing.classes)
        task = Task(channels, preprocessing.shape[1:], classes)
        # Before memory is taken for what the weights cannot fill.
        if predict(architecture, task).params > sum(tensor.numel() for tensor in weights.values()):
            raise BundleError("the weights do not belong to this architecture")
        try:
            network = build(architecture, channels, classes)
            network.load_state_dict(weights)
        except InvalidChoiceError as error:
            raise BundleError(str(error)) from None
        except (RuntimeError, AttributeError):
            raise BundleError("the weights do not belong to this architecture") from None
        return cls(architecture, preprocessing, Classifier(network, preprocessing).eval())

    def write(self, folder: Path, card: str) -> None:
        """Write the folder, whole or not at all.

        Raises:
            BundleError: it cannot be written.
        """
        weights = {
            name: tensor.contiguous() for name, tensor in self.network.network.state_dict().items()
        }
        try:
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convnas-") as scratch:
                made = Path(scratch, "bundle")
                made.mkdir()
                save_file(weights, made / _WEIGHTS)
                (made / _WEIGHTS).chmod(0o644)
                _write_json(made / _ARCHITECTURE, self.architecture.to_json())
                _write_json(made / _TASK, asdict(self.preprocessing))
                (made / _CARD).write_text(card, encoding="utf-8")
                (made / "load.py").write_text(_LOADER, encoding="utf-8")
                shutil.move(made, folder)
        except OSError as error:
            raise BundleError(f"cannot write {folder}: {error.strerror or error}") from None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder that `write` made.

        Raises:
            BundleError: a file is missing or damaged.
            InvalidArchitectureError: the architecture is no valid one.
        """
        for name in (_ARCHITECTURE, _TASK, _WEIGHTS):
            if not (folder / name).is_file():  # to read a pipe or a device may take for ever
                raise BundleError(f"{folder} is no exported network: it has no file {name}")
        try:
            architecture = Architecture.from_json(
                (folder / _ARCHITECTURE).read_text(encoding="utf-8")
            )
            task = json.loads((folder / _TASK).read_text(encoding="utf-8"))
            weights = load_file(folder / _WEIGHTS)
        except InvalidArchitectureError:
            raise
        except (OSError, SafetensorError, *_NOT_JSON) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BundleError(f"{folder} is no exported network: {reason}") from None
        return cls.assemble(architecture, Preprocessing.from_json(task), weights)


def prepare(folder: Path) -> None:
    """Make sure that a folder can be made: nothing is there yet, and its parent takes files.

    Raises:
        BundleError: it cannot.
    """
    try:
        if folder.exists():
            raise BundleError(f"{folder} exists already: choose another --output, or delete it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convnas-") as scratch:
            Path(scratch, folder.name).mkdir()
    except OSError as error:
        raise BundleError(f"cannot write {folder}: {error.strerror or error}") from None


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
