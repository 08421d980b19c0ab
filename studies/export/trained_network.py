"""The trained network of a chosen evaluation: from the search, or trained again for the export."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nas_space.bundle import Bundle, Measured, Preprocessing, Record
from nas_space.spaces.building import build
from studies.cli import CommandError
from studies.records.store import Store
from studies.records.tables import Evaluation, Export, Study
from trainers import devices
from trainers.checkpoints import Checkpoint
from trainers.data.splits import Dataset, Images
from trainers.progress import EpochLines
from trainers.recipes import Recipe
from trainers.training import Trainer, evaluate


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Attributes:
        weights: by the names that `nas_space.spaces.building.build` gives.
        validation: their accuracy on the validation images, and how they were trained.
        anew: whether they were trained again for the export.
    """

    weights: dict[str, Tensor]
    validation: Measured
    anew: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256(save(self.weights)).hexdigest()

    @property
    def training(self) -> tuple[str, int, int]:
        """Recipe, epochs and seed."""
        return self.validation.recipe, self.validation.epochs, self.validation.seed


def from_search(proxy: Measured, kept: bytes) -> TrainedNetwork:
    """The weights that the search kept.

    Raises:
        CommandError: they are damaged.
    """
    try:
        return TrainedNetwork(load(kept), proxy, anew=False)
    except SafetensorError as error:
        raise CommandError(
            f"the weights in the database are damaged ({error}): add --retrain"
        ) from None


def checkpoint_of(path: Path, chosen: Evaluation, dataset: Dataset, recipe: Recipe) -> Checkpoint:
    """The checkpoint of a retraining, so that the same command continues it."""
    parts = (chosen.key, chosen.seed, dataset.fingerprint, dataset.search.flip, recipe.to_json())
    text = json.dumps(parts, sort_keys=True)
    return Checkpoint(path, hashlib.sha256(text.encode()).hexdigest())


def retrained(
    chosen: Evaluation, dataset: Dataset, recipe: Recipe, checkpoint: Checkpoint
) -> TrainedNetwork:
    """Train the network again.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another training.
    """
    data = dataset.search
    # Not the seed of the search: the network may have been chosen for the luck of that seed.
    seed = chosen.seed + 1
    network = build(chosen.parsed_architecture, data.shape[0], len(data.classes), seed=seed)
    outcome = Trainer(data, recipe, devices.best(min(data.shape[1:]))).train(
        network, seed=seed, on_epoch=EpochLines(recipe.epochs), checkpoint=checkpoint
    )
    weights = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    measured = Measured(outcome.val_accuracy, len(data.val), recipe.name, recipe.epochs, seed)
    return TrainedNetwork(weights, measured, anew=True)


def look(
    store: Store,
    study: Study,
    chosen: Evaluation,
    trained: TrainedNetwork,
    dataset: Dataset,
    test: Images,
) -> Measured:
    """Accuracy on the test images: measured once per weights, then read from the record."""
    recipe, epochs, seed = trained.training
    digest = trained.digest
    for export in store.exports(study):
        if export.weights == digest:
            return Measured(export.test_accuracy, len(test), recipe, epochs, seed)
    data = dataset.search
    network = build(chosen.parsed_architecture, data.shape[0], len(data.classes))
    network.load_state_dict(trained.weights)
    accuracy = evaluate(network, test, data, device=devices.best(min(data.shape[1:])))
    store.record_export(
        Export(
            evaluation_id=chosen.id,
            retrained=trained.anew,
            recipe=recipe,
            epochs=epochs,
            seed=seed,
            val_accuracy=trained.validation.accuracy,
            test_accuracy=accuracy,
            weights=digest,
        )
    )
    return Measured(accuracy, len(test), recipe, epochs, seed)


def bundle_of(
    chosen: Evaluation, dataset: Dataset, trained: TrainedNetwork, record: Record
) -> Bundle:
    """The network with everything that an export needs."""
    data = dataset.search
    preprocessing = Preprocessing(data.shape, data.mean, data.std, data.classes)
    architecture = chosen.parsed_architecture
    return Bundle.assemble(architecture, preprocessing, record, trained.weights)
