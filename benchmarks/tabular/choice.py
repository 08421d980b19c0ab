"""Which network of a search is best: the one of most measured accuracy, or of most expected?

    uv run python -m benchmarks.tabular.choice --seeds 20 --budget 60

Searches are replayed as in `benchmarks.tabular.replay`. At twelve costs from .1M to 20M MACs the
best network within the cost is chosen, by the accuracies that the search measured, and by what the
model of all its trainings expects (`studies.model.accuracy`). Both are scored by the mean accuracy
that the surrogate knows, and so is the best choice that was possible.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tabular.replay import METHODS, SPACE, Point, quietly, replayed, surrogate
from benchmarks.tabular.train import EPOCHS, TABLE, TASK
from nas_space.cli import positive
from nas_space.costs.cost import predict
from nas_space.spaces.features import describe
from studies.model import accuracy
from trainers.intervals import around_mean

_METHOD = "bayes-rungs-1-3-9"
_COSTS = np.geomspace(1e5, 2e7, 12).tolist()


@dataclass(frozen=True, slots=True)
class Choice:
    """The networks chosen within a cost, in points of accuracy.

    Attributes:
        possible: the mean accuracy of the best network.
        measured: that of the one with the most measured accuracy.
        claimed: the accuracy that was measured.
        expected: the mean accuracy of the one with the most expected accuracy.
        promised: the accuracy that was expected.
    """

    possible: float
    measured: float
    claimed: float
    expected: float
    promised: float


def choices(seed: int, budget: int, table: Path) -> Iterator[Choice]:
    """The choices of one search."""
    known = surrogate(table, 0)
    points, _ = replayed(METHODS[_METHOD](seed), seed, budget, known)
    believed = expectations(points)
    full = list(believed)
    true = {at: float(known.mean(points[at].architecture)[-1]) for at in full}
    for most in _COSTS:
        within = [at for at in full if points[at].cost <= most]
        if not within:
            continue
        lucky = max(within, key=lambda at: points[at].val_accuracy)
        sure = max(within, key=lambda at: believed[at])
        found = (
            max(true[at] for at in within),
            true[lucky],
            points[lucky].val_accuracy,
            true[sure],
            believed[sure],
        )
        yield Choice(*(100 * value for value in found))


def expectations(points: Sequence[Point]) -> dict[int, float]:
    """What the model of all trainings expects of the full ones, by their positions."""
    features = [_features(point) for point in points]
    learnt = [
        accuracy.Point(row, point.epochs, point.val_accuracy)
        for row, point in zip(features, points, strict=True)
    ]
    means = accuracy.means_of(learnt, EPOCHS)
    return {at: means[at] for at, point in enumerate(points) if point.epochs == EPOCHS}


def most_expected(points: Sequence[Point], most: float) -> Point:
    """The full training within a cost of which the model expects most."""
    believed = expectations(points)
    within = (at for at in believed if points[at].cost <= most)
    return points[max(within, key=lambda at: believed[at])]


def main() -> None:
    """Print the means over searches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=positive, default=20)
    parser.add_argument("--budget", type=positive, default=60)
    parser.add_argument("--table", type=Path, default=TABLE)
    given = parser.parse_args()
    quietly()
    searches = []
    for seed in range(given.seeds):
        found = list(choices(seed, given.budget, given.table))
        searches.append([statistics.mean(getattr(c, name) for c in found) for name in _NAMES])
        print(seed, " ".join(f"{value:.2f}" for value in searches[-1]), flush=True)
    possible, measured, claimed, sure, promised = zip(*searches, strict=True)
    print("| chosen by | accuracy | below the best possible | claimed too much |")
    print("| --- | --- | --- | --- |")
    for name, got, said in (("measured", measured, claimed), ("expected", sure, promised)):
        below = [p - g for p, g in zip(possible, got, strict=True)]
        bias = [s - g for s, g in zip(said, got, strict=True)]
        print(f"| {name} accuracy | {' | '.join(map(_mean, (got, below, bias)))} |")
    print("expected minus measured:", _mean([s - m for s, m in zip(sure, measured, strict=True)]))


_NAMES = ("possible", "measured", "claimed", "expected", "promised")


def _mean(values: Sequence[float]) -> str:
    half = f" ± {around_mean(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{half}"


def _features(point: Point) -> list[float]:
    cost = predict(point.architecture, TASK)
    return describe(point.architecture, TASK, cost, SPACE.kinds, SPACE.sections)


if __name__ == "__main__":
    main()
