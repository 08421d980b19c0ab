"""`python -m studies.export`: one network of a study in a folder, measured once on test."""

import argparse
import dataclasses
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_weights
from safetensors.torch import save as save_weights
from torch import Tensor

from nas_space.architecture import Architecture
from nas_space.cli import Parser, console, duration, positive, quantity
from nas_space.network import build
from studies.arguments import add_study_arguments
from studies.bundle import Bundle, BundleError, Preprocessing, prepare
from studies.card import Card
from studies.choose import NoSuchNetworkError, Rule, choose
from studies.cli import CommandError, open_store, run
from studies.front import front
from studies.pareto import table
from studies.records import Evaluation, Export, Study
from studies.store import Store
from trainers import devices, recipes
from trainers.data import Dataset, Images
from trainers.datasets import load
from trainers.recipes import Recipe
from trainers.training import Trainer, evaluate

_EQUAL = 1e-5
_RECIPE = "full"


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
    anew: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256(save_weights(self.weights)).hexdigest()


def _main() -> int:
    arguments = _parser().parse_args()
    rule, recipe = _rule(arguments), _recipe(arguments)
    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    if not rule.given:
        console().print(table(front(evaluations)))
        raise CommandError("which one? say --knee, --max-macs, --min-accuracy or --trial")
    chosen = choose(evaluations, rule)
    print(f"trial {chosen.number}: {Architecture.from_json(chosen.architecture)}", flush=True)  # noqa: T201
    kept = None if arguments.retrain else store.weights(chosen)
    if kept is None and not arguments.retrain:
        raise CommandError(
            f"trial {chosen.number} is off the front, so its weights were not kept: add --retrain"
        )
    # Whatever could fail fails before the training, not after it.
    prepare(arguments.output)
    dataset = _dataset(study, arguments)
    test = dataset.open_test()
    trained = _from_search(chosen, kept) if kept else _retrain(chosen, dataset, recipe)
    bundle = _bundle(chosen, dataset, trained)
    accuracy = _test_accuracy(store, study, chosen, trained, bundle, dataset, test)
    looks = len(store.exports(study))
    card = Card(study, chosen, dataset, trained.recipe, trained.epochs, trained.seed)
    text = card.text(trained.val_accuracy, accuracy, looks, retrained=trained.anew)
    bundle.write(arguments.output, text)
    _verify(bundle, arguments.output)
    images = len(dataset.search.train)
    print(  # noqa: T201
        f"search    {chosen.val_accuracy:.2%} validation accuracy "
        f"({chosen.recipe}, {chosen.epochs} epochs)\n"
        f"exported  {trained.val_accuracy:.2%} validation accuracy "
        f"({trained.recipe}, {trained.epochs} epochs, {images:,} images)\n"
        f"test      {accuracy:.2%} accuracy (look number {looks} at this study's test images)\n"
        f"written   {arguments.output}, read back with outputs equal to {_EQUAL:g}\n\n"
        f"{arguments.output / 'README.md'} says how to load it"
    )
    return 0


def _rule(arguments: argparse.Namespace) -> Rule:
    rule = Rule(arguments.trial, arguments.knee, arguments.max_macs, arguments.min_accuracy)
    if rule.contradictory:
        raise CommandError("--trial says which network already: leave the other rules out")
    return rule


def _recipe(arguments: argparse.Namespace) -> Recipe:
    options = {
        "--recipe": arguments.recipe,
        "--epochs": arguments.epochs,
        "--subset": arguments.subset,
    }
    given = [option for option, value in options.items() if value is not None]
    if given and not arguments.retrain:
        raise CommandError(f"{given[0]} says how to train anew: add --retrain")
    recipe = recipes.get(arguments.recipe or _RECIPE)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    return recipe


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
    parser.add_argument("--recipe", help=f"of --retrain (default: {_RECIPE})")
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
    # A database says where downloads lie, but not where to write: it may be anyone's.
    asked = arguments.data_dir is not None or not stored["data_dir"]
    kept = None if asked else Path(stored["data_dir"])

    def part(subset: int | None) -> Dataset:
        return load(
            arguments.dataset or stored["name"],
            image_size=stored["image_size"],
            subset=subset,
            data_dir=arguments.data_dir,
            kept=kept,
            flip=stored["flip"],
        )

    dataset = part(stored["subset"])
    if dataset.fingerprint != stored["fingerprint"]:
        raise CommandError(
            f"{dataset.search.name} is not what study {study.name} was searched on: images, "
            "classes or splits have changed"
        )
    if arguments.retrain and arguments.subset != stored["subset"]:
        dataset = part(arguments.subset)
    if list(dataset.search.shape) != stored["shape"]:
        raise CommandError(
            f"all of {dataset.search.name} has images of {dataset.search.shape}, the part that was "
            f"searched on {tuple(stored['shape'])}: say --subset {stored['subset']}"
        )
    return dataset


def _from_search(chosen: Evaluation, kept: bytes) -> _Trained:
    accuracy = chosen.val_accuracy or 0.0
    try:
        weights = load_weights(kept)
    except SafetensorError as error:
        raise CommandError(
            f"the weights of trial {chosen.number} are damaged ({error}): add --retrain"
        ) from None
    return _Trained(weights, chosen.recipe, chosen.epochs, chosen.seed, accuracy, anew=False)


def _retrain(chosen: Evaluation, dataset: Dataset, recipe: Recipe) -> _Trained:
    data = dataset.search
    # Not the search's seed: what was chosen for its luck is not to keep it.
    seed = chosen.seed + 1
    network = build(
        Architecture.from_json(chosen.architecture), data.shape[0], len(data.classes), seed=seed
    )

    start = time.monotonic()

    def show(epoch: int, loss: float) -> None:
        if epoch == 1 or epoch % max(1, recipe.epochs // 10) == 0:
            left = (time.monotonic() - start) / epoch * (recipe.epochs - epoch)
            said = (
                f"  epoch {epoch}/{recipe.epochs}: training loss {loss:.4f}, {duration(left)} left"
            )
            print(said, flush=True)  # noqa: T201

    outcome = Trainer(data, recipe, devices.best(min(data.shape[1:]))).train(
        network, seed=seed, on_epoch=show
    )
    weights = {name: t.cpu().contiguous() for name, t in network.state_dict().items()}
    return _Trained(weights, recipe.name, recipe.epochs, seed, outcome.val_accuracy, anew=True)


def _bundle(chosen: Evaluation, dataset: Dataset, trained: _Trained) -> Bundle:
    data = dataset.search
    preprocessing = Preprocessing(data.shape, data.mean, data.std, data.classes)
    architecture = Architecture.from_json(chosen.architecture)
    return Bundle.assemble(architecture, preprocessing, trained.weights)


def _test_accuracy(
    store: Store,
    study: Study,
    chosen: Evaluation,
    trained: _Trained,
    bundle: Bundle,
    dataset: Dataset,
    test: Images,
) -> float:
    """Accuracy on the test images: looked at once for the same weights, then remembered."""
    digest = trained.digest
    for export in store.exports(study):
        if export.weights == digest:
            return export.test_accuracy
    device = devices.best(min(dataset.search.shape[1:]))
    accuracy = evaluate(bundle.network.network, test, dataset.search, device=device)
    bundle.network.to("cpu")
    store.record_export(
        Export(
            evaluation_id=chosen.id,
            retrained=trained.anew,
            recipe=trained.recipe,
            epochs=trained.epochs,
            seed=trained.seed,
            val_accuracy=trained.val_accuracy,
            test_accuracy=accuracy,
            weights=digest,
        )
    )
    return accuracy


def _verify(bundle: Bundle, folder: Path) -> None:
    """Read the folder back and compare the outputs."""
    images = torch.rand(4, *bundle.preprocessing.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = bundle.network(images), Bundle.read(folder).network(images)
    # Memory layouts differ, and with them the order of additions.
    if not torch.allclose(before, after, rtol=_EQUAL, atol=_EQUAL * before.abs().max().item()):
        raise BundleError(f"{folder} gives other outputs than the network that was exported")


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
