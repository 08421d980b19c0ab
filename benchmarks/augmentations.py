"""Which changes of training images, and what else of `Recipe` is for photographs, pay?

    OMP_NUM_THREADS=1 uv run python -m benchmarks.augmentations --images CIFAR10 --minutes 120
    uv run python -m benchmarks.augmentations

`CIFAR10` is a folder of image files, train/CLASS and test/CLASS, upscaled to 64×64: they have
no more detail than 32×32. A hand-scaled ResNet and a MobileNetV2 are trained on 5,000 of them
for 15 epochs by the recipe `quick`, which shifts and mirrors images, and by that recipe with one
more ingredient. Every training is a line of docs/results/augmentations.jsonl, and the same command
continues where it was stopped. The table says by how much each ingredient changes the accuracy on
5,000 validation images: the mean over seeds, and its 95 % interval (pairs of one seed).
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_space.cli import Parser, positive, run
from nas_space.spaces.building import build
from nas_space.spaces.residual import ResidualArchitecture
from nas_space.spaces.residual.families import FAMILIES
from trainers import devices
from trainers.data.registry import load
from trainers.intervals import around_mean
from trainers.recipes import RECIPES
from trainers.training import Trainer, evaluate

_EPOCHS = 15
_IMAGES = 5_000
_SIDE_PIXELS = 64
_NETWORKS = {"ResNet-8, images halved": 12, "MobileNetV2, images halved": 12}
"""Families, and the width of the first stage: 8.1M and 5.2M MACs."""
_NONE = "none"
_FULL_SIZE = ", validated at full size"
_INGREDIENTS: dict[str, dict[str, Any]] = {
    _NONE: {},
    "crop .35 and resolution .75, no shift": {
        "crop": 0.35,
        "shift": 0.0,
        "resolution": 0.75,
        "val_resolution": 0.75,
    },
    "crop .35, no shift": {"crop": 0.35, "shift": 0.0},
    "resolution .75": {"resolution": 0.75, "val_resolution": 0.75},
    "no decay of norms": {"decays_norms": False},
    "colour .3": {"colour": 0.3},
    "EMA .99": {"ema": 0.99},
    "TrivialAugment": {"trivial": True},
    "erasing .25": {"erasing": 0.25},
    "mixup .2": {"mixup": 0.2},
    "cutmix 1": {"cutmix": 1.0},
    "label smoothing .1": {"label_smoothing": 0.1},
}
_OUTPUT = Path("docs/results/augmentations.jsonl")


def main() -> int:
    """Train, or print the table."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", metavar="CIFAR10", help="without it, the table is printed")
    parser.add_argument("--minutes", type=positive, default=120)
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--networks", nargs="+", choices=list(_NETWORKS), default=list(_NETWORKS))
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    given = parser.parse_args()
    if given.images is None:
        print(_table(_lines(given.output)))
        return 0
    end = time.monotonic() + 60 * given.minutes
    data = load(given.images, image_size=_SIDE_PIXELS, subset=_IMAGES).search
    device = devices.best(_SIDE_PIXELS)
    quick = dataclasses.replace(RECIPES.get("quick"), epochs=_EPOCHS)
    families = {family.name: family for family in FAMILIES}
    for seed, name, network in itertools.product(range(given.seeds), _INGREDIENTS, given.networks):
        key = {"network": network, "ingredient": name, "seed": seed}
        if any(key.items() <= line.items() for line in _lines(given.output)):
            continue
        if time.monotonic() > end:
            break
        module = build(
            ResidualArchitecture(families[network].stages(_NETWORKS[network])), 3, 10, seed=seed
        )
        recipe = dataclasses.replace(quick, **_INGREDIENTS[name])
        outcome = Trainer(data, recipe, device).train(module, seed=seed)
        line = key | {
            "val": outcome.val_accuracy,
            "val_full_size": evaluate(module, data.val, data, device=device),
            "loss": round(outcome.train_loss, 4),
            "seconds": round(outcome.seconds),
        }
        with given.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
    return 0


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def _table(lines: Sequence[dict[str, Any]]) -> str:
    found: dict[str, dict[str, dict[int, float]]] = {network: {} for network in _NETWORKS}
    for line in lines:
        of_network = found[line["network"]]
        of_network.setdefault(line["ingredient"], {})[line["seed"]] = line["val"]
        if line["val_full_size"] != line["val"]:
            name = line["ingredient"] + _FULL_SIZE
            of_network.setdefault(name, {})[line["seed"]] = line["val_full_size"]
    rows = ["| ingredient | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    names = [each for name in _INGREDIENTS for each in (name, name + _FULL_SIZE)]
    for name in names:
        if any(name in of_network for of_network in found.values()):
            cells = [_cell(of_network, name) for of_network in found.values()]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(found: dict[str, dict[int, float]], name: str) -> str:
    """Accuracy without ingredients, and what one adds, in points."""
    without, values = found.get(_NONE, {}), found.get(name, {})
    seeds = sorted(without.keys() & values.keys())
    if not seeds:
        return "–"
    points = [100 * (values[seed] - (without[seed] if name != _NONE else 0)) for seed in seeds]
    mean = statistics.mean(points)
    half = f" ± {around_mean(points):.1f}" if len(points) > 1 else ""
    return f"{mean:{'' if name == _NONE else '+'}.1f}{half} (n = {len(points)})"


if __name__ == "__main__":
    raise SystemExit(main())
