"""`python -m trainers.run`: train one network with several seeds, from scratch or from weights."""

import argparse
import dataclasses
import hashlib
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas_space.cli import BACKBONE, Parser, expanded, positive, run
from nas_space.errors import ConvnasError
from nas_space.programs import program
from trainers import devices
from trainers.arguments import add_pixels_argument
from trainers.data.reading import Reading
from trainers.data.registry import DATASETS, load
from trainers.data.splits import Dataset
from trainers.intervals import around_mean, wilson
from trainers.recipes import RECIPES
from trainers.seeds import Result, Seeds
from trainers.subject import Subject, digest, find, starting_weights
from trainers.training import Trainer, TrainingDivergedError

_RECIPE = "full"
_EXAMPLES = """\
examples:
  {program} best/architecture.json
      an architecture of the search, from scratch, on the digits
  {program} best --dataset ~/photos --seeds 3
      an exported network, from scratch, three times
  {program} best --from best --epochs 20
      the same network, onwards from its weights
  {program} igc-l24m2-d20 --dataset cifar10
      a network of a paper; `{networks}` lists them

The same command continues where it was stopped or killed, on a CPU to the same numbers.
"""


class DivergedError(ConvnasError):
    """A training whose loss grew without end."""


def main() -> int:
    """Train a network."""
    return run(_main)


def _main() -> int:
    arguments = _parser().parse_args()
    recipe = RECIPES.get(arguments.recipe)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    start = starting_weights(arguments.start, arguments.backbone) if arguments.start else None
    dataset = load(
        arguments.dataset,
        image_size=arguments.image_size,
        subset=arguments.subset,
        data_dir=arguments.data_dir,
        flip=not arguments.no_flip,
        reading=Reading(max_pixels=arguments.max_pixels),
    )
    data = dataset.search
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
    _say(f"training  {recipe.name}, {recipe.epochs} epochs, {beginning}, on {device.name}")
    first: int = arguments.seed
    try:
        results = [_trained(seeds, seed) for seed in range(first, first + arguments.seeds)]
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)  # noqa: T201
        raise
    if subject.record is not None:
        proxy = subject.record.search
        _say(
            f"search    {proxy.accuracy:.2%} validation accuracy ({proxy.recipe}, {proxy.epochs} "
            f"epochs, seed {proxy.seed}): the proxy that the network was chosen by"
        )
    _say(f"trained   {_conclusion(results, dataset)} ({recipe.name}, {recipe.epochs} epochs)")
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


def _parser() -> Parser:
    parser = Parser(
        prog=program("trainers.run"),
        description="Train one network on the training images and measure it on the validation "
        "images; test images stay closed.",
        epilog=_EXAMPLES.format(
            program=program("trainers.run"), networks=program("nas_space.networks")
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "network",
        metavar="NETWORK",
        help="an architecture (JSON file), an exported network (folder), or a paper's network",
    )
    parser.add_argument("--backbone", metavar="MODULE:FUNCTION", help=BACKBONE)
    parser.add_argument(
        "--output",
        type=expanded,
        metavar="DIR",
        help="the folder of results, weights and checkpoints (default: named after the network)",
    )
    data = parser.add_argument_group("on which images")
    data.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, or a folder of images (default: %(default)s)",
    )
    data.add_argument(
        "--image-size", type=positive, metavar="N", help="resize a folder's images to N×N pixels"
    )
    add_pixels_argument(data)
    data.add_argument("--subset", type=positive, metavar="N", help="train on N of the images only")
    data.add_argument("--no-flip", action="store_true", help="train on no mirror images")
    data.add_argument(
        "--data-dir",
        type=expanded,
        metavar="DIR",
        help="keeps downloads (default: ~/.cache/convnas)",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--recipe",
        default=_RECIPE,
        help=f"{', '.join(RECIPES)} (default: %(default)s)",
    )
    how.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the images, not the recipe's"
    )
    how.add_argument(
        "--from",
        dest="start",
        type=expanded,
        metavar="WEIGHTS",
        help="go on from these weights: a safetensors file, or an exported network",
    )
    how.add_argument(
        "--seeds", type=positive, default=1, metavar="N", help="how many (default: %(default)s)"
    )
    how.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="the first one (default: %(default)s)"
    )
    return parser


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - fits 32 bits
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999999")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
