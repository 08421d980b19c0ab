"""An exported network as a folder, and back.

The folder appears whole or not at all. Reading it executes and unpickles nothing of it, and
believes nothing that its manifest does not vouch for.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor, nn

from nas_space.bundle.forms import exported_program, onnx_model, write_forms
from nas_space.bundle.manifest import BundleError, check, read_json, seal, write_json
from nas_space.bundle.preprocessing import Preprocessing
from nas_space.bundle.record import Record
from nas_space.bundle.source import source
from nas_space.bundle.verify import verify
from nas_space.bundle.weights import check_count, read_weights, write_weights
from nas_space.convs import InvalidChoiceError
from nas_space.costs.cost import Task
from nas_space.inference import for_inference
from nas_space.opsets import OPSET
from nas_space.scratch import scratch
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture

_WEIGHTS, _ARCHITECTURE, _TASK, _RECORD, _CARD, _MODEL = (
    "weights.safetensors",
    "architecture.json",
    "task.json",
    "record.json",
    "README.md",
    "model.py",
)
_SCRATCH = ".convnas-"
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_OWN = (_WEIGHTS, _ARCHITECTURE, _TASK, _RECORD, _CARD, _MODEL)


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
        record: what was measured of it.
        network: trained, in eval mode, on the CPU; normalises its input itself.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    record: Record
    network: Classifier

    @classmethod
    def assemble(
        cls,
        architecture: Architecture,
        preprocessing: Preprocessing,
        record: Record,
        weights: dict[str, Tensor],
    ) -> Self:
        """Put a network together from its parts.

        Raises:
            BundleError: the weights belong to another architecture.
        """
        channels, classes = preprocessing.shape[0], len(preprocessing.classes)
        try:
            network = build(architecture.bare(), channels, classes)
            network.load_state_dict(weights)
        except InvalidChoiceError as error:
            raise BundleError(f"the architecture cannot take such images: {error}") from None
        except (RuntimeError, AttributeError):
            raise BundleError("the weights do not belong to this architecture") from None
        return cls(architecture, preprocessing, record, Classifier(network, preprocessing).eval())

    def onnx(self, opset: int = OPSET, network: nn.Module | None = None) -> bytes:
        """The content of its ONNX file, before the folder is written.

        Args:
            opset: version of the operators.
            network: the network in another form with the same function.
        """
        network = for_inference(self.network) if network is None else network
        exported = exported_program(network, self.preprocessing)
        return onnx_model.write(exported, json.dumps(asdict(self.preprocessing)), opset)

    def write(
        self,
        folder: Path,
        card: Callable[[Path], str],
        opset: int = OPSET,
        made: Mapping[str, bytes] = _NOTHING,
    ) -> None:
        """Write the folder, whole or not at all, once all forms are seen to be the same network.

        Args:
            folder: to make.
            card: gives the text of its README.md; what it is given has all other files.
            opset: version of ONNX's operators.
            made: contents of files that are written already, by their names: an ONNX file, or the
                network in int8, see `nas_space.bundle.int8`.

        Raises:
            BundleError: it cannot be written, or a form gives other outputs.
            InvalidChoiceError: a type of convolution says no way to be written in plain torch.
        """
        try:
            with scratch(_SCRATCH, folder.parent) as place:
                (place / "bundle").mkdir()
                self._write_into(place / "bundle", card, opset, made)
                shutil.move(place / "bundle", folder)
        except OSError as error:
            raise BundleError(f"cannot write {folder}: {error.strerror or error}") from None

    def _write_into(
        self,
        folder: Path,
        card: Callable[[Path], str],
        opset: int,
        made: Mapping[str, bytes],
    ) -> None:
        task = asdict(self.preprocessing)
        write_weights(folder / _WEIGHTS, self.network.network.state_dict())
        write_json(folder / _ARCHITECTURE, self.architecture.to_json())
        write_json(folder / _TASK, task)
        write_json(folder / _RECORD, self.record.to_json())
        text = source(self.architecture, self.preprocessing)
        (folder / _MODEL).write_text(text, encoding="utf-8")
        fast = for_inference(self.network)
        for name, content in made.items():
            (folder / name).write_bytes(content)
        write_forms(folder, fast, self.preprocessing, json.dumps(task), opset)
        verify(folder, self.network, self.preprocessing.shape)
        (folder / _CARD).write_text(card(folder), encoding="utf-8")
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        seal(folder)

    @classmethod
    def read(cls, folder: Path, trusted: str | None = None) -> Self:
        """Read a folder that `write` made.

        Args:
            folder: to read.
            trusted: the function ``module:function`` that the user lets it call, for a backbone of
                their own; a folder may come from anywhere, and could name any.

        Raises:
            BundleError: a file is missing or changed, the weights are of another network, or it
                would call a function that is not trusted.
            InvalidArchitectureError: the architecture is no valid one.
        """
        check(folder, frozenset(_OWN))
        architecture = read_architecture(read_json(folder / _ARCHITECTURE))
        preprocessing = Preprocessing.from_json(read_json(folder / _TASK))
        record = Record.from_json(read_json(folder / _RECORD))
        channels, *size = preprocessing.shape
        task = Task(channels, (size[0], size[1]), len(preprocessing.classes))
        check_count(folder / _WEIGHTS, architecture, task)
        if architecture.code not in {None, trusted}:
            raise BundleError(
                f"{folder} is a network of {architecture.code}, which would have to be called: if "
                f"you trust that code, say --backbone {architecture.code}; its model.py needs none"
            )
        return cls.assemble(architecture, preprocessing, record, read_weights(folder / _WEIGHTS))


def prepare(folder: Path) -> None:
    """Make sure that a folder can be made: nothing is there yet, and its parent takes files.

    Raises:
        BundleError: it cannot.
    """
    try:
        if folder.exists():
            raise BundleError(f"{folder} exists already: choose another --output, or delete it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch(_SCRATCH, folder.parent) as place:
            (place / folder.name).mkdir()
    except OSError as error:
        raise BundleError(f"cannot write {folder}: {error.strerror or error}") from None
