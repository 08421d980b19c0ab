"""`python -m studies.export`: one network of a study in a folder, measured once on test."""

import argparse
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as load_weights
from torch import Tensor

from nas_space.architecture import Architecture
from nas_space.network import build
from studies.bundle import Bundle, BundleError, Preprocessing
from studies.card import Card
from studies.choose import NoSuchNetworkError, Rule, choose
from studies.cli import (
    CommandError,
    Parser,
    add_study_arguments,
    console,
    open_store,
    positive,
    quantity,
    run,
)
from studies.front import front
from studies.pareto import table
from studies.records import Evaluation, Export, Study
from trainers import devices, recipes
from trainers.data import Dataset
from trainers.datasets import load
from trainers.recipes import Recipe
from trainers.training import evaluate, train

_EQUAL = 1e-5


def main() -> int:
    """Export a network."""
    return run(_main, BundleError, NoSuchNetworkError)


@dataclass(frozen=True, slots=True)
class _Trained:
    weights: dict[str, Tensor]
    recipe: str
    epochs: int
    seed: int
    val_accuracy: float


def _main() -> int:
    arguments = _parser().parse_args()
    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    rule = Rule(arguments.trial, arguments.knee, arguments.max_macs, arguments.min_accuracy)
    if not rule.given:
        console().print(table(front(evaluations)))
        raise CommandError("which one? say --knee, --max-macs, --min-accuracy or --trial")
    recipe = recipes.get(arguments.recipe)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    folder = arguments.output
    if folder.exists():
        raise CommandError(f"{folder} exists already: choose another --output, or delete it")
    chosen = choose(evaluations, rule)
    print(f"trial {chosen.number}: {Architecture.from_json(chosen.architecture)}", flush=True)  # noqa: T201
    kept = None if arguments.retrain else store.weights(chosen)
    if kept is None and not arguments.retrain:
        raise CommandError(
            f"trial {chosen.number} is off the front, so its weights were not kept: add --retrain"
        )
    dataset = _dataset(study, arguments)
    if kept is None:
        trained = _retrain(chosen, dataset, recipe)
    else:
        accuracy = chosen.val_accuracy or 0.0
        trained = _Trained(load_weights(kept), chosen.recipe, chosen.epochs, chosen.seed, accuracy)
    bundle = _bundle(chosen, dataset, trained)
    accuracy, again = _test_accuracy(store.exports(study), chosen, trained)
    if not again:
        test = dataset.open_test()
        accuracy = evaluate(bundle.network.network, test, dataset.search, device=devices.best())
        bundle.network.to("cpu")
        store.record_export(
            Export(
                evaluation_id=chosen.id,
                retrained=arguments.retrain,
                recipe=trained.recipe,
                epochs=trained.epochs,
                seed=trained.seed,
                val_accuracy=trained.val_accuracy,
                test_accuracy=accuracy,
            )
        )
    looks = len(store.exports(study))
    images = len(dataset.search.train)
    card = Card(study, chosen, trained.recipe, trained.epochs, trained.seed, images)
    text = card.text(trained.val_accuracy, accuracy, looks, retrained=arguments.retrain)
    bundle.write(folder, text)
    _verify(bundle, folder)
    _report(folder, chosen, trained, images, accuracy, looks)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m studies.export",
        description="Write a network of a study to a folder: safetensors weights, architecture, "
        "model card, loader. Its test accuracy is measured once, here.",
    )
    add_study_arguments(parser)
    which = parser.add_argument_group("which network (of the Pareto front)")
    which.add_argument("--knee", action="store_true", help="where more MACs stop paying")
    which.add_argument(
        "--max-macs", type=quantity, metavar="N", help="the most accurate within N MACs, like 5M"
    )
    which.add_argument(
        "--min-accuracy",
        type=_accuracy,
        metavar="X",
        help="the cheapest of at least this validation accuracy, like 0.95 or 95%%",
    )
    which.add_argument("--trial", type=_number, metavar="N", help="this trial, on the front or not")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="the folder to make"
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train it anew, by default with the full recipe"
    )
    parser.add_argument("--recipe", default="full", help="of --retrain (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="of --retrain, instead of the recipe's"
    )
    parser.add_argument(
        "--subset", type=positive, metavar="N", help="of --retrain: train on N of the images only"
    )
    parser.add_argument(
        "--dataset", metavar="PATH", help="where the study's images lie now, if they were moved"
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keeps downloads (default: ~/.cache/convnas)"
    )
    return parser


def _dataset(study: Study, arguments: argparse.Namespace) -> Dataset:
    """The study's data set; all of it for retraining, though a part may have been searched on."""
    stored = study.dataset

    def part(subset: int | None) -> Dataset:
        return load(
            arguments.dataset or stored["name"],
            image_size=stored["image_size"],
            subset=subset,
            data_dir=arguments.data_dir,
        )

    dataset = part(stored["subset"])
    if dataset.fingerprint != stored["fingerprint"]:
        raise CommandError(
            f"{dataset.search.name} is not what study {study.name} was searched on: images, "
            "classes or splits have changed"
        )
    if arguments.retrain and arguments.subset != stored["subset"]:
        dataset = part(arguments.subset)
    return dataset


def _retrain(chosen: Evaluation, dataset: Dataset, recipe: Recipe) -> _Trained:
    data = dataset.search
    # Not the search's seed: what was chosen for its luck is not to keep it.
    seed = chosen.seed + 1
    network = build(
        Architecture.from_json(chosen.architecture), data.shape[0], len(data.classes), seed=seed
    )

    def show(epoch: int, loss: float) -> None:
        if epoch % max(1, recipe.epochs // 10) == 0:
            print(f"  epoch {epoch}/{recipe.epochs}: training loss {loss:.4f}", flush=True)  # noqa: T201

    outcome = train(network, data, recipe, seed=seed, device=devices.best(), on_epoch=show)
    weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    return _Trained(weights, recipe.name, recipe.epochs, seed, outcome.val_accuracy)


def _bundle(chosen: Evaluation, dataset: Dataset, trained: _Trained) -> Bundle:
    data = dataset.search
    preprocessing = Preprocessing(data.shape, data.mean, data.std, data.classes)
    architecture = Architecture.from_json(chosen.architecture)
    return Bundle.assemble(architecture, preprocessing, trained.weights)


def _test_accuracy(
    exports: list[Export], chosen: Evaluation, trained: _Trained
) -> tuple[float, bool]:
    """The recorded test accuracy of the very same network, if it was measured before."""
    same = (chosen.id, trained.recipe, trained.epochs, trained.seed, trained.val_accuracy)
    for export in exports:
        if same == (
            export.evaluation_id,
            export.recipe,
            export.epochs,
            export.seed,
            export.val_accuracy,
        ):
            return export.test_accuracy, True
    return math.nan, False


def _verify(bundle: Bundle, folder: Path) -> None:
    """Read the folder back and compare the outputs."""
    images = torch.rand(4, *bundle.preprocessing.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = bundle.network(images), Bundle.read(folder).network(images)
    # Memory layouts differ, and with them the order of additions.
    if not torch.allclose(before, after, rtol=_EQUAL, atol=_EQUAL * before.abs().max().item()):
        raise BundleError(f"{folder} gives other outputs than the network that was exported")


def _report(
    folder: Path, chosen: Evaluation, trained: _Trained, images: int, accuracy: float, looks: int
) -> None:
    print(  # noqa: T201
        f"search    {chosen.val_accuracy:.2%} validation accuracy "
        f"({chosen.recipe}, {chosen.epochs} epochs)\n"
        f"exported  {trained.val_accuracy:.2%} validation accuracy "
        f"({trained.recipe}, {trained.epochs} epochs, {images:,} images)\n"
        f"test      {accuracy:.2%} accuracy (look number {looks} at this study's test images)\n"
        f"written   {folder}, read back with outputs equal to {_EQUAL:g}\n\n"
        f"{folder / 'README.md'} says how to load it"
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - fits 32 bits
        raise argparse.ArgumentTypeError(f"{text!r} is no trial number")
    return int(text)


def _accuracy(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no accuracy like 0.95 or 95%")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
