"""The IGC article's two claims, tried: are interleaved groups better at fewer MACs, and which?

    uv run python -m benchmarks.igc comparison --dataset cifar10 --seeds 5
    uv run python -m benchmarks.igc curve --dataset cifar100 --seeds 3

`comparison` trains RegConv-W18, IGC-L4M8, IGC-L24M2, an Xception-like and a GPC network. `curve`
trains IGC networks from one partition to one channel a partition, all of about the same MACs: the
paper's Figure 3 says only what a block of it costs, not how its networks widen, so here the whole
network's MACs are matched.

Both use the full recipe and several seeds, and look at the test images once a training, at its end;
nothing is chosen by them. A seed is one of the weights and of the order and augmentation of images.
Every training is a line in `--results`, so the same command goes on where it was stopped. Prints
accuracy as mean and 95 % interval over the seeds (Student's t; not over test images, and each
difference by itself) against MACs (multiply-adds per image, the papers' FLOPs) and parameters.
"""

import argparse
import dataclasses
import itertools
import json
import math
import multiprocessing
import os
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from nas_space.cli import Parser, positive, run
from nas_space.papers import PaperNetwork, get
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import Dataset, DatasetError
from trainers.recipes import RECIPES
from trainers.training import Trainer, TrainingDivergedError, evaluate

# Xception-like and GPC are of our own widths: the paper's are not known.
_COMPARISON = ("regconv-w18", "igc-l4m8", "igc-l24m2", "xception-w40", "gpc-g4w28")
# Of each point of the curve one number is given, and the other is the one that meets the MACs.
_CURVE = ("L1", "L2", "L4", "M6", "M4", "M3", "M2", "M1")
_MATCHED = "igc-l4m8"


@dataclass(frozen=True)
class Run:
    """One training."""

    network: str
    seed: int
    epochs: int
    dataset: str
    subset: int | None


@cache
def opened(dataset: str, subset: int | None) -> Dataset:
    """The data, decoded once a process."""
    return load(dataset, subset=subset)


def train(run: Run) -> dict[str, Any]:
    """Train once, and look at the test images once."""
    torch.set_num_threads(1)
    dataset = opened(run.dataset, run.subset)
    recipe = dataclasses.replace(RECIPES.get("full"), epochs=run.epochs)
    device = devices.best(min(dataset.search.shape[1:]))
    module = get(run.network).build(seed=run.seed)
    try:
        outcome = Trainer(dataset.search, recipe, device).train(module, seed=run.seed)
    except TrainingDivergedError as error:
        return asdict(run) | {"test_accuracy": None, "seconds": None, "error": str(error)}
    accuracy = evaluate(module, dataset.open_test(), dataset.search, device=device)
    return asdict(run) | {
        "test_accuracy": accuracy,
        "val_accuracy": outcome.val_accuracy,
        "seconds": round(outcome.seconds, 1),
        "images": len(dataset.search.train),
        "device": device.name,
        "torch": torch.__version__,
    }


def matched(point: str, suffix: str) -> str:
    """The IGC network with that L (``L4``) or M (``M2``) that is nearest in MACs to `_MATCHED`."""
    target, fixed = get(_MATCHED + suffix).counts().macs, int(point[1:])
    pair = "igc-l{0}m{1}" if point[0] == "L" else "igc-l{1}m{0}"

    def macs(free: int) -> int:
        return get(pair.format(fixed, free) + suffix).counts().macs

    above = next(free for free in itertools.count(1) if macs(free) >= target)
    free = min((max(1, above - 1), above), key=lambda free: abs(macs(free) - target))
    return pair.format(fixed, free) + suffix


def names(question: str, points: list[str], suffix: str) -> list[str]:
    """The networks of the question."""
    if question == "comparison":
        return [label + suffix for label in _COMPARISON]
    return [matched(point, suffix) for point in points]


def finished(path: Path) -> dict[Run, dict[str, Any]]:
    """The trainings that the file holds already; a line that was cut off is none of them."""
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    rows = [json.loads(line) for line in whole.splitlines()]
    fields = [field.name for field in dataclasses.fields(Run)]
    return {Run(**{name: row[name] for name in fields}): row for row in rows}


def interval(values: list[float], sign: str = "") -> str:
    """Mean and half width of its 95 % interval (Student's t), in percent."""
    if not values:
        return "–"
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:{sign}.2%}"
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:{sign}.2%} ± {stats.t.ppf(0.975, len(values) - 1) * error:.2%}"


def table(networks: Mapping[str, PaperNetwork], rows: list[dict[str, Any]]) -> None:
    """Print the results; a training that diverged counts for nothing but is missing from n."""
    print("| network | MACs | parameters | test accuracy | minus the first network | n | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = {
        name: {
            row["seed"]: row
            for row in rows
            if row["network"] == name and row["test_accuracy"] is not None
        }
        for name in networks
    }
    first = next(iter(found.values()))
    for name, network in networks.items():
        counts, mine = network.counts(), found[name]
        scores = [row["test_accuracy"] for row in mine.values()]
        pairs = [
            row["test_accuracy"] - first[seed]["test_accuracy"]
            for seed, row in mine.items()
            if seed in first
        ]
        seconds = sum(row["seconds"] for row in mine.values()) / max(1, len(mine))
        cells = (
            name,
            f"{counts.macs / 1e6:.1f}M",
            f"{counts.params / 1e3:.0f}k",
            interval(scores),
            interval(pairs, "+") if mine is not first else "",
            str(len(scores)),
            f"{seconds:.0f}",
        )
        print(f"| {' | '.join(cells)} |")


def main() -> int:
    """Train what is missing, then print the table."""
    return run(_main)


def _main() -> int:
    parser = Parser(prog="python -m benchmarks.igc", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("question", choices=["comparison", "curve"])
    parser.add_argument("--dataset", default="cifar10", help="a name, or a folder of RGB images")
    parser.add_argument("--depth", type=positive, default=20)
    parser.add_argument("--epochs", type=positive, default=RECIPES.get("full").epochs)
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--subset", type=positive, help="train on so many images only")
    parser.add_argument("--points", nargs="*", default=_CURVE, choices=_CURVE, help="of the curve")
    workers = 1 if torch.cuda.is_available() else os.cpu_count()
    parser.add_argument("--workers", type=positive, default=workers)
    parser.add_argument("--results", type=Path, default=Path("igc.jsonl"))
    given = parser.parse_args()
    data = opened(given.dataset, given.subset).search
    if data.shape[0] != 3:  # noqa: PLR2004 - RGB
        raise DatasetError(f"{data.name} has {data.shape[0]} channels; these networks take RGB")
    classes = "" if len(data.classes) == 10 else f"-c{len(data.classes)}"  # noqa: PLR2004
    suffix = f"-d{given.depth}{classes}"
    networks = {name: get(name) for name in names(given.question, given.points, suffix)}
    runs = [
        Run(name, seed, given.epochs, str(given.dataset), given.subset)
        for seed in range(given.seeds)
        for name in networks
    ]
    done = finished(given.results)
    missing = [training for training in runs if training not in done]
    with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
        for number, row in enumerate(pool.imap_unordered(train, missing), 1):
            with given.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            said = row.get("error") or f"{row['test_accuracy']:.2%} in {row['seconds']:.0f} s"
            place = f"{number}/{len(missing)} {row['network']} seed {row['seed']}"
            print(f"{place}: {said}", flush=True)
    done = finished(given.results)
    rows = [done[training] for training in runs]
    where = {(row.get("device"), row.get("torch")) for row in rows if "device" in row}
    print(
        f"\nn = {given.seeds} seeds, {given.epochs} epochs of {len(data.train):,} images of "
        f"{data.name}; device and torch: {', '.join(f'{d} {t}' for d, t in where)}\n"
    )
    table(networks, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
