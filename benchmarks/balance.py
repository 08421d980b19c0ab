"""What `--balance` brings where classes are not equal.

    uv run python -m benchmarks.balance ~/cifar --seeds 5

The folder has CIFAR-10 as JPEGs in train/CLASS and test/CLASS. 5,000 of the training images are
taken, of which the largest class has 20 times those of the smallest; sizes fall geometrically.
500 other images of each class are for validation. All are resized to 16×16. Which classes are
large changes with the seed. Each training is that of a search: the recipe quick, a ResNet-8.
"""

import argparse
import csv
import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.tables import circumstances
from nas_space.convs import parse
from nas_space.spaces.building import build
from nas_space.spaces.residual import ResidualArchitecture, Stage
from trainers.data.balance import Answers
from trainers.data.registry import load
from trainers.devices import best
from trainers.intervals import around_mean
from trainers.recipes import BALANCES, NO_BALANCE, RECIPES
from trainers.training import Trainer

_IMAGES, _TIMES, _VALIDATION, _SIDE_PIXELS = 5000, 20, 500, 16
NETWORK = ResidualArchitecture(
    tuple(Stage(width, ((parse("regular"), parse("regular")),)) for width in (16, 32, 64))
)
FIGURES = ("accuracy", "macro-F1", "of the 3 largest classes", "of the 3 smallest")
"""Validation classes are equal: accuracy and balanced accuracy are the same number."""


def sizes(classes: int) -> list[int]:
    """Training images of each class, the largest first."""
    falling = [_TIMES ** (-place / (classes - 1)) for place in range(classes)]
    return [round(_IMAGES * share / sum(falling)) for share in falling]


def write_table(folder: Path, seed: int, table: Path) -> None:
    """The images of a seed, as a table of paths, labels and splits."""
    classes = sorted(path.name for path in (folder / "train").iterdir())
    shift = 2 * seed % len(classes)
    with table.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("path", "label", "split"))
        for name, size in zip(classes[shift:] + classes[:shift], sizes(len(classes)), strict=True):
            train, test = (sorted((folder / split / name).iterdir()) for split in ("train", "test"))
            splits = {"train": train[:size], "val": train[-_VALIDATION:], "test": test}
            for split, paths in splits.items():
                out.writerows((path.resolve(), name, split) for path in paths)


def trained(folder: Path, seed: int, epochs: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """For each way of balancing: the figures of a network."""
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "labels.csv"
        write_table(folder, seed, table)
        data = load(str(table), image_size=_SIDE_PIXELS).search
    order = np.argsort(-np.bincount(data.train.labels), kind="stable")
    for balance in BALANCES:
        recipe = dataclasses.replace(RECIPES.get("quick"), balance=balance, epochs=epochs)
        module = build(NETWORK, data.shape[0], len(data.classes), seed=seed)
        answers = Trainer(data, recipe, best(_SIDE_PIXELS)).train(module, seed=seed).answers
        yield balance, figures(answers, order)


def figures(answers: Answers, order: np.ndarray) -> tuple[float, ...]:
    """`FIGURES`, where the classes are in that order, the largest first."""
    shares = np.asarray(answers.recall, dtype=float)[order]
    return answers.share, answers.macro_f1, float(shares[:3].mean()), float(shares[-3:].mean())


def told(values: list[float], signed: str = "") -> str:
    """Mean and 95 % interval, in points."""
    points = [100 * value for value in values]
    return f"{statistics.mean(points):{signed}.1f} ± {around_mean(points):.1f}"


def main() -> None:
    """Train with each seed in each way, and print a table."""
    parser = argparse.ArgumentParser(description="What --balance brings.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=RECIPES.get("quick").epochs)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[tuple[float, ...]]] = {balance: [] for balance in BALANCES}
    for seed in range(given.seeds):
        for balance, values in trained(given.folder, seed, given.epochs):
            found[balance].append(values)
            print(f"seed {seed}, {balance}: {values}", file=sys.stderr, flush=True)
    print(f"{circumstances(given.seeds)}, {given.epochs} epochs\n")
    print(f"| --balance | {' | '.join(FIGURES)} |")
    print(f"| --- |{' --- |' * len(FIGURES)}")
    for balance, rows in found.items():
        cells = [told(list(column)) for column in zip(*rows, strict=True)]
        print(f"| {balance} | {' | '.join(cells)} |")
    for balance in BALANCES[1:]:
        pairs = zip(found[balance], found[NO_BALANCE], strict=True)
        gains = [[a - b for a, b in zip(one, other, strict=True)] for one, other in pairs]
        cells = [told(list(column), "+") for column in zip(*gains, strict=True)]
        print(f"| {balance} - none, by seed | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
