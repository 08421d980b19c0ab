"""What a search for one cost finds, beside one that spreads its budget over the whole front.

    uv run python -m benchmarks.tabular.target --seeds 5 --budget 40

Searches are replayed as in `benchmarks.tabular.replay`, with the same limit of MACs and the same
budget: one with `--target` at the limit, one without. Both answer with the network of most expected
accuracy (`studies.model.accuracy`), which is scored by the mean accuracy that the surrogate knows.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.tabular.choice import most_expected
from benchmarks.tabular.replay import SPACE, Ours, quietly, replayed, surrogate
from benchmarks.tabular.train import TABLE, TASK
from nas_space.cli import positive, short
from searchers.limits import Limits
from searchers.problem import Problem
from trainers.intervals import around_mean

_COSTS = (500_000, 2_000_000)
_RUNGS = (3, 9)


def main() -> None:
    """Print a line a search, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--budget", type=positive, default=40)
    parser.add_argument("--table", type=Path, default=TABLE)
    given = parser.parse_args()
    quietly()
    known = surrogate(given.table, 0)
    for macs in _COSTS:
        found: dict[str, list[float]] = {"without": [], "with": []}
        for seed in range(given.seeds):
            for how, target in (("without", None), ("with", float(macs))):
                problem = Problem(SPACE, TASK, Limits(macs=macs), target=target)
                searcher = Ours("bayes", _RUNGS, seed, problem)
                points, _ = replayed(searcher, seed, given.budget, known)
                chosen = most_expected(points, macs)
                found[how].append(100 * float(known.mean(chosen.architecture)[-1]))
                share = chosen.cost / macs
                print(f"{short(macs)} {seed} {how} {found[how][-1]:.2f} at {share:.2f}", flush=True)
        gain = [a - b for a, b in zip(found["with"], found["without"], strict=True)]
        cells = " | ".join(map(_mean, (found["without"], found["with"], gain)))
        print(f"| {short(macs)} | {cells} |")


def _mean(values: list[float]) -> str:
    half = f" ± {around_mean(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{half}"


if __name__ == "__main__":
    main()
