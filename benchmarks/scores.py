"""Do zero-cost scores say more of accuracy than parameters and MACs, on really trained networks?

    uv run python -m benchmarks.scores --images PATH

PATH holds CIFAR-10 as image files (see `benchmarks.tabular.train`): a batch of 128 of its training
images is scored. Prints rank correlations with the accuracy after nine epochs, beside those of
parameters, MACs and the accuracy after one and three epochs; and what a filter gains: of networks
whose MACs are within 15 % of each other, the mean accuracy of the best by each number, against a
random one.
"""

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.tabular.train import EPOCHS, TABLE, TASK, data
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture
from studies.analysis.rank_correlation import rank_correlations
from trainers.data.batches import Batches
from trainers.intervals import around_mean
from trainers.scores import score, scores

_BATCH = 128
_BAND = 1.15


@dataclass(frozen=True)
class Network:
    """A network of the table.

    Attributes:
        architecture: what it is.
        macs: multiply-adds per image.
        params: parameters.
        curve: mean accuracy of its seeds after each epoch.
    """

    architecture: Architecture
    macs: int
    params: int
    curve: Sequence[float]


def networks() -> list[Network]:
    """Those of the table."""
    found: dict[str, tuple[Architecture, int, int, list[list[float]]]] = {}
    with gzip.open(TABLE, "rt") as lines:
        for line in map(json.loads, lines):
            if "accuracies" in line:
                architecture = read_architecture(line["architecture"])
                entry = (architecture, line["macs"], line["params"], list[list[float]]())
                found.setdefault(architecture.key, entry)[3].append(line["accuracies"])
    return [
        Network(architecture, macs, params, np.mean(curves, axis=0).tolist())
        for architecture, macs, params, curves in found.values()
    ]


def batch(images: str) -> tuple[Tensor, Tensor]:
    """The first training images, normalised."""
    split = data(images)
    return next(Batches(split.train, split, torch.device("cpu")).plain(_BATCH))


def gain(numbers: Sequence[float], known: Sequence[Network]) -> list[float]:
    """For each network: the accuracy of the best by these numbers of its band, minus the mean."""
    found = []
    for network in known:
        band = [
            at
            for at, other in enumerate(known)
            if network.macs / _BAND <= other.macs <= network.macs * _BAND
        ]
        if len(band) > 2:  # noqa: PLR2004 - of one or two there is no choice
            best = max(band, key=lambda at: numbers[at])
            mean = statistics.mean(known[at].curve[-1] for at in band)
            found.append(known[best].curve[-1] - mean)
    return found


def main() -> None:
    """Score all networks, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", required=True, help="CIFAR-10 as image files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    known, (images, labels) = networks(), batch(given.images)
    numbers: dict[str, list[float]] = {
        "params": [float(network.params) for network in known],
        "macs": [float(network.macs) for network in known],
        "accuracy after 1 epoch": [network.curve[0] for network in known],
        "accuracy after 3 epochs": [network.curve[2] for network in known],
    }
    seconds: Mapping[str, list[float]] = {name: [] for name in scores()}
    for name, which in scores().items():
        numbers[name] = []
        for network in known:
            module = build(network.architecture, TASK.channels, TASK.classes, seed=0)
            start = time.perf_counter()
            numbers[name].append(score(which, module, images, labels, seed=0))
            seconds[name].append(time.perf_counter() - start)
    correlations = rank_correlations(numbers, [network.curve[-1] for network in known])
    print(f"n = {len(known)} networks, {EPOCHS} epochs; torch {torch.__version__}\n")
    print(
        "| number | Spearman's rho | Kendall's tau | partial | minus the better baseline |", end=""
    )
    print(" wins | gain of a filter | ms a network |")
    print("| --- " * 8 + "|")
    for row in correlations:
        gains = gain(numbers[row.name], known)
        spent = seconds.get(row.name)
        cells = [
            row.name,
            f"{row.rho:.2f} ({row.interval[0]:.2f} to {row.interval[1]:.2f})",
            f"{row.tau:.2f}",
            f"{row.partial:.2f}",
            f"{row.gain:+.2f} ({row.gain_interval[0]:+.2f} to {row.gain_interval[1]:+.2f})",
            "yes" if row.wins else "no",
            f"{statistics.mean(gains):+.2%} ± {around_mean(gains):.2%}",
            f"{1000 * statistics.median(spent):.0f}" if spent else "–",
        ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
