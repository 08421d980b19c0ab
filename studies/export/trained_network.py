"""The trained network of a chosen evaluation: from the search, or trained again for the export."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nas_space.bundle import Bundle, Measured, Preprocessing, Record
from nas_space.pictures import BITS
from nas_space.spaces.building import build
from studies.cli import CommandError
from studies.records.store import Store
from studies.records.tables import Evaluation, Export, Study
from trainers import devices
from trainers.checkpoints import Checkpoint
from trainers.data.balance import Answers
from trainers.data.splits import Dataset, Images, fingerprint
from trainers.evaluators import metric
from trainers.metrics import ACCURACY, Metric
from trainers.own_training import trainer_for
from trainers.progress import EpochLines
from trainers.recipes import Recipe
from trainers.training import measure

_FEW_IMAGES, _FEW_OF_ALL = 2, 0.005
"""How many images another device or version of torch may classify otherwise: those between two
classes, by rounding."""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A trained network.

    Attributes:
        weights: by the names that `nas_space.spaces.building.build` gives.
        validation: their accuracy on the validation images, and how they were trained.
        answers: to the validation images; None where a function of the user's own judges.
        anew: whether they were trained again for the export.
    """

    weights: dict[str, Tensor]
    validation: Measured
    answers: Answers | None
    anew: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256(save(self.weights)).hexdigest()

    @property
    def training(self) -> tuple[str, int, int]:
        """Recipe, epochs and seed."""
        return self.validation.recipe, self.validation.epochs, self.validation.seed


def from_search(
    proxy: Measured, kept: bytes, chosen: Evaluation, dataset: Dataset, metric: Metric = ACCURACY
) -> TrainedNetwork:
    """The weights that the search kept, once they are seen to be as accurate as they were.

    Args:
        proxy: what the search measured of them on the validation images.
        kept: the weights in safetensors form.
        chosen: the evaluation that they are of.
        dataset: that the search was on.
        metric: what the search measured.

    Raises:
        CommandError: they are damaged, of another network, or less or more accurate now.
    """
    try:
        weights = load(kept)
    except SafetensorError as error:
        raise CommandError(
            f"the weights in the database are damaged ({error}): add --retrain"
        ) from None
    measured = _answers(chosen, weights, dataset.search.val, dataset)
    # A number of the user's own cannot be measured without training.
    accuracy = proxy.accuracy if metric.of is None else metric.of(measured)
    others = abs(accuracy - proxy.accuracy) * proxy.images
    if others > _FEW_IMAGES + _FEW_OF_ALL * proxy.images:
        code = chosen.parsed_architecture.code or "in this version"
        raise CommandError(
            f"trial {chosen.number}: its weights give {metric.write(accuracy)} validation "
            f"{metric.name} now, and gave {metric.write(proxy.accuracy)} in the search, so the "
            f"network is built otherwise now ({code}): bring back the code that was searched, or "
            "add --retrain"
        )
    validation = replace(proxy, balanced=measured.balanced)
    return TrainedNetwork(weights, validation, measured, anew=False)


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
    outcome = trainer_for(data, recipe, devices.best(min(data.shape[1:]))).train(
        network, seed=seed, on_epoch=EpochLines(recipe.epochs), checkpoint=checkpoint
    )
    weights = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    measured = Measured(
        outcome.val_accuracy,
        len(data.val),
        recipe.name,
        recipe.epochs,
        seed,
        None if outcome.answers is None else outcome.answers.balanced,
        metric(recipe.evaluate, recipe.metric).name,
    )
    return TrainedNetwork(weights, measured, outcome.answers, anew=True)


def look(
    store: Store,
    study: Study,
    chosen: Evaluation,
    trained: TrainedNetwork,
    dataset: Dataset,
    test: Images,
) -> tuple[Measured, Answers]:
    """Accuracy on the test images, and the answers to them.

    It is measured once for these weights and images, then remembered.
    """
    recipe, epochs, seed = trained.training
    digest = trained.digest
    images = fingerprint(dataset.search.classes, test)
    for export in store.exports(study):
        # Of measurements of before 2026-12 nobody knows on which images they were.
        if (export.weights, export.test_images) == (digest, images):
            # Of measurements of before 2026-12-01 nobody knows the answers: they are asked again.
            answers = export.parsed_answers or _answers(chosen, trained.weights, test, dataset)
            known = export.test_accuracy, len(test), recipe, epochs, seed
            return Measured(*known, export.balanced), answers
    answers = _answers(chosen, trained.weights, test, dataset)
    store.record_export(
        Export(
            evaluation_id=chosen.id,
            retrained=trained.anew,
            recipe=recipe,
            epochs=epochs,
            seed=seed,
            val_accuracy=trained.validation.accuracy,
            test_accuracy=answers.share,
            answers=answers.to_json(),
            weights=digest,
            test_images=images,
        )
    )
    return Measured(answers.share, len(test), recipe, epochs, seed, answers.balanced), answers


def _answers(
    chosen: Evaluation, weights: dict[str, Tensor], images: Images, dataset: Dataset
) -> Answers:
    """How right the network's answers are with these weights."""
    data = dataset.search
    network = build(chosen.parsed_architecture, data.shape[0], len(data.classes))
    try:
        network.load_state_dict(weights)
    except (RuntimeError, AttributeError):
        raise CommandError(
            f"the weights in the database are not those of trial {chosen.number}, but of another "
            "network: add --retrain"
        ) from None
    return measure(network, images, data, device=devices.best(min(data.shape[1:])))


def bundle_of(
    chosen: Evaluation, dataset: Dataset, trained: TrainedNetwork, record: Record
) -> Bundle:
    """The network with everything that an export needs."""
    data, reading = dataset.search, dataset.reading
    preprocessing = Preprocessing(
        data.shape, data.mean, data.std, data.classes, reading.bits or BITS, reading.earlier
    )
    architecture = chosen.parsed_architecture
    return Bundle.assemble(architecture, preprocessing, record, trained.weights)
