"""The IGC article's two claims, tried: are interleaved groups better at fewer MACs, and which?

    uv run python -m benchmarks.igc comparison --dataset cifar10 --seeds 5
    uv run python -m benchmarks.igc curve --dataset cifar10 --seeds 3

Both train named networks with the full recipe, each with several seeds, and look at the test images
once a training, at its end; nothing is chosen by them. Every training is a line in `--results`, so
the same command goes on where it was stopped. Prints accuracy as mean and 95 % interval over the
seeds against MACs (multiply-adds per image, the papers' FLOPs) and parameters.
"""

import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from nas_space.networks import Network, get
from trainers import devices, recipes
from trainers.datasets import load
from trainers.training import Trainer, evaluate

# One layer more or less is one convolution in all of them; IGC-L24M2 and RegConv-W18 are the
# article's extremes, Xception-like and GPC have about the parameters of their neighbours.
_COMPARISON = ("regconv-w18", "igc-l4m8", "igc-l24m2", "xception-w40", "gpc-g4w28")
# Figure 3(a) of the paper: blocks of 4,620 to 4,784 weights, from one partition to depthwise.
_CURVE = ((1, 23), (2, 16), (3, 13), (5, 10), (6, 9), (12, 6), (28, 3), (40, 2), (64, 1))


@dataclass(frozen=True)
class Run:
    """One training."""

    network: str
    seed: int
    epochs: int
    dataset: str
    subset: int | None


def train(run: Run) -> dict[str, Any]:
    """Train once, and look at the test images once."""
    torch.set_num_threads(1)
    dataset = load(run.dataset, subset=run.subset)
    recipe = dataclasses.replace(recipes.get("full"), epochs=run.epochs)
    device = devices.best()
    module = get(run.network).build(seed=run.seed)
    outcome = Trainer(dataset.search, recipe, device).train(module, seed=run.seed)
    accuracy = evaluate(module, dataset.open_test(), dataset.search, device=device)
    return asdict(run) | {
        "val_accuracy": outcome.val_accuracy,
        "test_accuracy": accuracy,
        "seconds": round(outcome.seconds, 1),
        "device": str(device.where),
    }


def names(given: argparse.Namespace) -> list[str]:
    """The networks of the question."""
    if given.question == "comparison":
        return [f"{label}-d{given.depth}" for label in _COMPARISON]
    points = [tuple(map(int, point.split(","))) for point in given.points] or _CURVE
    return [f"igc-l{partitions}m{channels}-d{given.depth}" for partitions, channels in points]


def finished(path: Path) -> dict[Run, dict[str, Any]]:
    """The trainings that the file holds already."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    fields = [field.name for field in dataclasses.fields(Run)]
    return {Run(**{name: row[name] for name in fields}): row for row in rows}


def interval(values: list[float]) -> str:
    """Mean and half width of its 95 % interval (Student's t), in percent."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.2%}"
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.2%} ± {stats.t.ppf(0.975, len(values) - 1) * error:.2%}"


def table(networks: Mapping[str, Network], rows: list[dict[str, Any]]) -> None:
    """Print the results, cheapest network first."""
    print("| network | MACs | parameters | test accuracy | minus the first network | n | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = {
        name: {row["seed"]: row for row in rows if row["network"] == name} for name in networks
    }
    first = next(iter(found.values()))
    for name, network in networks.items():
        counts, mine = network.counts(), found[name]
        scores = [row["test_accuracy"] for row in mine.values()]
        pairs = [row["test_accuracy"] - first[s]["test_accuracy"] for s, row in mine.items()]
        seconds = statistics.mean(row["seconds"] for row in mine.values())
        cells = (
            name,
            f"{counts.macs / 1e6:.1f}M",
            f"{counts.params / 1e3:.0f}k",
            interval(scores),
            interval(pairs) if mine is not first else "",
            str(len(scores)),
            f"{seconds:.0f}",
        )
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("question", choices=["comparison", "curve"])
    parser.add_argument("--dataset", default="cifar10", help="a name or a folder of images")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=recipes.get("full").epochs)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--subset", type=int, help="train on so many images only")
    parser.add_argument("--points", nargs="*", default=[], metavar="L,M", help="of the curve")
    cuda = torch.cuda.is_available()
    parser.add_argument("--workers", type=int, default=1 if cuda else os.cpu_count())
    parser.add_argument("--results", type=Path, default=Path("igc.jsonl"))
    given = parser.parse_args()
    networks = {name: get(name) for name in names(given)}
    runs = [
        Run(name, seed, given.epochs, str(given.dataset), given.subset)
        for seed in range(given.seeds)
        for name in networks
    ]
    done = finished(given.results)
    missing = [run for run in runs if run not in done]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
        for number, row in enumerate(pool.imap_unordered(train, missing), 1):
            with given.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{number}/{len(missing)} {row['network']} seed {row['seed']}: "
                f"{row['test_accuracy']:.2%} in {row['seconds']:.0f} s",
                flush=True,
            )
    done = finished(given.results)
    where = torch.cuda.get_device_name() if cuda else f"{given.workers} CPU workers of one thread"
    print(
        f"\nn = {given.seeds} seeds, {given.epochs} epochs of {given.subset or 'all'} training "
        f"images, {where}, {time.perf_counter() - start:.0f} s; torch {torch.__version__}\n"
    )
    table(networks, [done[run] for run in runs])


if __name__ == "__main__":
    main()
