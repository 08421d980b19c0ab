"""One network trained with several seeds, in a folder from which a killed training continues.

The folder holds the settings (`training.json`), and the result and the weights of each finished
seed. An unfinished seed has a checkpoint, from which the same command continues.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from nas_space.errors import ConvnasError
from trainers.checkpoints import Checkpoint
from trainers.files import write_whole
from trainers.progress import EpochLines
from trainers.recipes import Recipe
from trainers.runs.subject import Subject, SubjectError
from trainers.training import Trainer

_TRAINING_FILE = "training.json"


class OutputError(ConvnasError):
    """A folder that belongs to another training, or that is damaged."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one seed.

    Attributes:
        seed: of the weights at the start and of the order of images.
        val_accuracy: share of the validation images that are classified correctly, 0 to 1.
        train_loss: mean loss of the last epoch.
        seconds: of training and validation.
    """

    seed: int
    val_accuracy: float
    train_loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Seeds:
    """The trainings of one network, one per seed.

    Attributes:
        folder: where results and checkpoints are.
        subject: the network.
        trainer: of this data set and recipe.
        recipe: how to train.
        start: weights to begin with; None takes fresh ones.
        settings: of the trainings, as plain values.
    """

    folder: Path
    subject: Subject
    trainer: Trainer
    recipe: Recipe
    start: Mapping[str, Tensor] | None
    settings: dict[str, Any]

    def open(self) -> None:
        """Create the folder, or check that it holds this training.

        Raises:
            OutputError: it holds another training, or something else.
        """
        path = self.folder / _TRAINING_FILE
        if path.is_file():
            stored = _read(path)
            changed = [name for name in self.settings if stored.get(name) != self.settings[name]]
            if changed:
                raise OutputError(
                    f"{self.folder} holds another training (another {', '.join(changed)}): "
                    "choose another --output"
                )
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise OutputError(f"{self.folder} holds something else: choose another --output")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, _text(self.settings))

    def kept(self, seed: int) -> Result | None:
        """The result of a finished seed; None if it is not finished.

        Raises:
            OutputError: the file is damaged.
        """
        path = self._path(seed, "json")
        if not path.is_file():
            return None
        try:
            return Result(**_read(path))
        except TypeError:
            raise OutputError(f"{path} is damaged: delete it to train this seed anew") from None

    def train(self, seed: int) -> Result:
        """Train one seed, from its checkpoint if there is one.

        Raises:
            CheckpointError: the checkpoint is damaged.
            SubjectError: the weights to begin with are of another network.
            TrainingDivergedError: the loss became infinite or not a number.
        """
        network = self.subject.make(seed)
        if self.start is not None:
            try:
                network.load_state_dict(self.start)
            except (RuntimeError, AttributeError):
                raise SubjectError(
                    f"the weights to go on from do not belong to {self.subject.identity}"
                ) from None
        text = json.dumps([self.settings, seed], sort_keys=True)
        training_id = hashlib.sha256(text.encode()).hexdigest()
        checkpoint = Checkpoint(self._path(seed, "checkpoint"), training_id)
        outcome = self.trainer.train(
            network, seed=seed, on_epoch=EpochLines(self.recipe.epochs), checkpoint=checkpoint
        )
        result = Result(seed, outcome.val_accuracy, outcome.train_loss, outcome.seconds)
        weights = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
        write_whole(self.weights(seed), save(weights))
        # The result is written last: where it is, the weights are too.
        write_whole(self._path(seed, "json"), _text(asdict(result)))
        checkpoint.drop()
        return result

    def weights(self, seed: int) -> Path:
        """The file of the trained weights of a seed."""
        return self._path(seed, "safetensors")

    def _path(self, seed: int, suffix: str) -> Path:
        return self.folder / f"seed-{seed}.{suffix}"


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise OutputError(f"{path} is damaged: delete it to train anew")
    return data


def _text(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()
