"""One network trained with several seeds, in a folder that survives being killed.

The folder holds the settings (`training.json`), and for each seed that is done its result and its
weights. A seed that is under way has a checkpoint; the one who comes back goes on from there.
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
from trainers.subject import Subject, SubjectError
from trainers.training import Trainer

_TRAINING_FILE = "training.json"


class OutputError(ConvnasError):
    """A folder that belongs to another training, or that is damaged."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one seed gave.

    Attributes:
        seed: of the weights at the start and of the order of images.
        val_accuracy: share of the validation images that are classified right, 0 to 1.
        train_loss: mean loss of the last epoch.
        seconds: of training and validation.
    """

    seed: int
    val_accuracy: float
    train_loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Seeds:
    """The trainings of one network, one a seed.

    Attributes:
        folder: where results and checkpoints are.
        subject: the network.
        trainer: of the data set and the recipe.
        recipe: likewise.
        start: weights to go on from; None begins with fresh ones.
        settings: what the folder is about, as plain values.
    """

    folder: Path
    subject: Subject
    trainer: Trainer
    recipe: Recipe
    start: Mapping[str, Tensor] | None
    settings: dict[str, Any]

    def open(self) -> None:
        """Make the folder, or see that it holds this training.

        Raises:
            OutputError: it holds another one, or something else.
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
        """The result of a seed that is done.

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
            SubjectError: the weights to go on from are of another network.
            TrainingDivergedError: the loss is no number any more.
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
        # The result is last: who finds it finds the weights as well.
        write_whole(self._path(seed, "json"), _text(asdict(result)))
        checkpoint.drop()
        return result

    def weights(self, seed: int) -> Path:
        """Where the trained weights of a seed are."""
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
