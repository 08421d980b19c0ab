"""What `python -m trainers.run` does: train a network with several seeds, and conclude."""

import argparse
import dataclasses
import hashlib
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas_space.cli import counted
from nas_space.errors import ConvnasError
from nas_space.waiting import waiting
from trainers import devices
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import Dataset
from trainers.intervals import around_mean, wilson
from trainers.metrics import named
from trainers.recipes import NO_BALANCE, RECIPES, resolution_note
from trainers.runs.seeds import Result, Seeds
from trainers.runs.subject import Subject, digest, find, starting_weights
from trainers.training import Trainer, TrainingDivergedError


class DivergedError(ConvnasError):
    """A training whose loss grew without end."""


def train(arguments: argparse.Namespace) -> int:
    """Train a network with every seed that is asked for; the exit code.

    Args:
        arguments: see `trainers.run`.
    """
    recipe = dataclasses.replace(RECIPES.get(arguments.recipe), balance=arguments.balance)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    start = starting_weights(arguments.start, arguments.backbone) if arguments.start else None
    with waiting(f"reading the images of {arguments.dataset}") as say:
        dataset = load(
            arguments.dataset,
            image_size=arguments.image_size,
            subset=arguments.subset,
            data_dir=arguments.data_dir,
            flip=not arguments.no_flip,
            reading=Reading(max_pixels=arguments.max_pixels),
            say=say,
        )
    data = dataset.search
    with waiting(f"building {arguments.network}"):
        subject = find(arguments.network, data, arguments.backbone)
    devices.spare_threads(min(data.shape[1:]))
    device = devices.best(min(data.shape[1:]))
    settings = {
        "network": subject.identity,
        "images": dataset.fingerprint,
        "flip": data.flip,
        "recipe": recipe.to_json(),
        "start": digest(start) if start is not None else None,
    }
    trainer = Trainer(data, recipe, device)
    output = arguments.output or _folder(subject, settings)
    seeds = Seeds(output, subject, trainer, recipe, start, settings)
    seeds.open()
    beginning = f"onwards from {arguments.start}" if arguments.start else "from scratch"
    _say(f"network   {subject.name}, {subject.params:,} parameters")
    _say(
        f"data      {data.name}: {len(data.train):,} training and {len(data.val):,} validation "
        f"images of {'×'.join(map(str, data.shape))}, {len(data.classes)} classes"
    )
    for remark in dataset.remarks:
        _say(f"note      {remark}")
    epochs = counted(recipe.epochs, "epoch")
    note = resolution_note(recipe.resolution)
    if recipe.balance != NO_BALANCE:
        note += f", classes balanced by {recipe.balance}"
    _say(f"training  {recipe.name}, {epochs}, {beginning}, on {device.name}{note}")
    first: int = arguments.seed
    try:
        results = [_trained(seeds, seed) for seed in range(first, first + arguments.seeds)]
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)  # noqa: T201
        raise
    if subject.record is not None:
        proxy = subject.record.search
        value = named(proxy.metric).write(proxy.accuracy)
        _say(
            f"search    {value} validation {proxy.metric} ({proxy.recipe}, {proxy.epochs} "
            f"epochs, seed {proxy.seed}): the proxy that the network was chosen by"
        )
    _say(f"trained   {_conclusion(results, dataset)} ({recipe.name}, {epochs})")
    return 0


def _folder(subject: Subject, settings: Mapping[str, object]) -> Path:
    """A folder named after all settings: the same command finds it again."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return Path(f"trained-{subject.identity}-{digest[:6]}")


def _trained(seeds: Seeds, seed: int) -> Result:
    result = seeds.kept(seed)
    done = "done before" if result is not None else str(seeds.weights(seed))
    if result is None:
        _say(f"seed {seed}")
        try:
            result = seeds.train(seed)
        except TrainingDivergedError as error:
            raise DivergedError(f"{error}: try another --recipe or --seed") from None
    _say(f"seed {seed}: {result.val_accuracy:.2%} validation accuracy, {done}")
    return result


def _conclusion(results: Sequence[Result], dataset: Dataset) -> str:
    accuracies = [result.val_accuracy for result in results]
    mean = statistics.mean(accuracies)
    if len(results) > 1:
        return (
            f"{mean:.2%} ± {around_mean(accuracies):.2%} validation accuracy: mean of "
            f"{len(results)} seeds and its 95 % interval"
        )
    images = len(dataset.search.val)
    low, high = wilson(mean, images)
    return (
        f"{mean:.2%} validation accuracy of one seed, {low:.2%} to {high:.2%} with 95 % "
        f"confidence ({images:,} images)"
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the user sees
