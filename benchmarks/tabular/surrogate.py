"""A stand-in for training: the accuracy of any network of `mixed`, learned from the table.

    uv run python -m benchmarks.tabular.surrogate

prints how well: cross-validated over networks, never over trainings of one network. Extremely
randomised trees (Geurts et al., Machine Learning 63, 2006) predict the whole curve of nine
accuracies, in the manner of NAS-Bench-301 (Siems et al., arXiv 2008.09777). Trees on purpose: the
samplers that are compared on it use Gaussian processes and density estimates, and none is to find
its own kind of function.

A training adds the noise of a seed: the deviation of a seed from the mean of its network's, a whole
curve drawn from those of the table.
"""

import gzip
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from benchmarks.tabular.train import EPOCHS, TABLE, TASK
from nas_space.convs import TYPES
from nas_space.costs.cost import predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.features import describe
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture

_TREES, _LEAF, _SHARE = 100, 2, 0.5
Indices = np.ndarray[tuple[int, ...], np.dtype[np.signedinteger[Any]]]
Curves = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def features(architecture: Architecture) -> list[float]:
    """What the trees see."""
    sections = get("mixed@1").sections
    return describe(architecture, TASK, predict(architecture, TASK), tuple(TYPES), sections)


@dataclass(frozen=True)
class Network:
    """A network of the table.

    Attributes:
        key: of its architecture.
        macs: multiply-adds per image.
        features: see `features`.
        curves: validation accuracies of each seed after each epoch (seeds, epochs).
    """

    key: str
    macs: int
    features: list[float]
    curves: Curves

    @property
    def mean(self) -> Curves:
        """Over the seeds."""
        mean: Curves = self.curves.mean(axis=0)
        return mean


def read(path: Path = TABLE) -> list[Network]:
    """The networks of a table."""
    found: dict[str, tuple[Architecture, int, list[list[float]]]] = {}
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in map(json.loads, lines):
            if "accuracies" not in line:
                continue
            architecture = read_architecture(line["architecture"])
            entry = found.setdefault(architecture.key, (architecture, line["macs"], []))
            entry[2].append(line["accuracies"])
    return [
        Network(key, macs, features(architecture), np.array(curves))
        for key, (architecture, macs, curves) in found.items()
    ]


class Surrogate:
    """Accuracies without training.

    Args:
        networks: of the table.
        seed: of the trees.
    """

    def __init__(self, networks: Sequence[Network], seed: int = 0) -> None:
        self._trees = trees(seed).fit(
            [network.features for network in networks], [network.mean for network in networks]
        )
        self._deviations = deviations(networks)
        self._known: dict[str, Curves] = {}

    def mean(self, architecture: Architecture) -> Curves:
        """Accuracy after each epoch, without the noise of a seed."""
        if architecture.key not in self._known:
            (curve,) = self._trees.predict([features(architecture)])
            self._known[architecture.key] = curve
        return self._known[architecture.key]

    def train(self, architecture: Architecture, seed: int) -> list[float]:
        """Accuracy after each epoch of a training with that seed."""
        draw = random.Random(f"{architecture.key} {seed}").randrange(len(self._deviations))
        curve = self.mean(architecture) + self._deviations[draw]
        return [float(accuracy) for accuracy in curve.clip(0, 1)]


def trees(seed: int) -> ExtraTreesRegressor:
    """The model, unfitted."""
    return ExtraTreesRegressor(
        _TREES, min_samples_leaf=_LEAF, max_features=_SHARE, random_state=seed
    )


def deviations(networks: Sequence[Network]) -> Curves:
    """How each seed of each network with several deviates from their mean, to scale."""
    found = [
        (network.curves - network.mean) * math.sqrt(len(network.curves) / (len(network.curves) - 1))
        for network in networks
        if len(network.curves) > 1
    ]
    return np.concatenate(found)


@dataclass(frozen=True)
class Fit:
    """How well networks are predicted that were not learned from, after the last epoch.

    Attributes:
        r2: share of the variance that is explained.
        tau: Kendall's rank correlation.
        error: root mean square, of which `noise` would be left by a perfect model.
        noise: standard deviation of the mean of a network's seeds.
    """

    r2: float
    tau: float
    error: float
    noise: float


class Check:
    """Cross-validation: ten folds of networks."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    @cached_property
    def predicted(self) -> Curves:
        """Curves of networks (networks, epochs) by trees that have not seen them."""
        x = np.array([network.features for network in self._networks])
        y = self.measured
        found = np.zeros_like(y)
        for learn, test in KFold(10, shuffle=True, random_state=0).split(x):
            found[test] = trees(0).fit(x[learn], y[learn]).predict(x[test])
        return found

    @property
    def measured(self) -> Curves:
        """Mean curves (networks, epochs)."""
        return np.array([network.mean for network in self._networks])

    def fit(self, chosen: Indices) -> Fit:
        """How well these networks are predicted."""
        truth, guess = self.measured[chosen, -1], self.predicted[chosen, -1]
        residual = truth - guess
        counts = np.array([len(self._networks[at].curves) for at in chosen])
        noise = deviations(self._networks)[:, -1].std() / math.sqrt(counts.mean())
        return Fit(
            1 - float(residual.var() / truth.var()),
            float(stats.kendalltau(truth, guess).statistic),
            float(np.sqrt((residual**2).mean())),
            float(noise),
        )


def main() -> None:
    """Print what the table holds and how well it is learned."""
    networks = read()
    counts = [len(network.curves) for network in networks]
    macs = np.array([network.macs for network in networks])
    check = Check(networks)
    bands = {
        "all": np.arange(len(networks)),
        "cheapest third": np.argsort(macs)[: len(macs) // 3],
        "dearest third": np.argsort(macs)[-(len(macs) // 3) :],
    }
    print(f"{len(networks)} networks, {sum(counts)} trainings of {EPOCHS} epochs\n")
    print("| networks | n | R² | Kendall's τ | error | of which seeds' noise |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, chosen in bands.items():
        fit = check.fit(chosen)
        print(
            f"| {name} | {len(chosen)} | {fit.r2:.3f} | {fit.tau:.3f} | {fit.error:.2%} "
            f"| {fit.noise:.2%} |"
        )
    print("\n| after epochs | Spearman's rho with the last, all | within thirds by MACs | noise |")
    print("| --- | --- | --- | --- |")
    thirds = np.array_split(np.argsort(macs), 3)
    spread = deviations(networks).std(axis=0)
    for epochs in (1, 3, 6, EPOCHS):
        early, last = check.measured[:, epochs - 1], check.measured[:, -1]
        inside = [stats.spearmanr(early[third], last[third]).statistic for third in thirds]
        print(
            f"| {epochs} | {stats.spearmanr(early, last).statistic:.2f} "
            f"| {', '.join(f'{rho:.2f}' for rho in inside)} | {spread[epochs - 1]:.2%} |"
        )


if __name__ == "__main__":
    main()
