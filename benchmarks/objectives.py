"""What does a search for another cost than MACs gain, by that cost?

    uv run python -m benchmarks.objectives latency --seeds 4 --budget 40

For each seed, two searches of the space mixed on the digits: one makes MACs small, the other the
cost that is named. The fronts of both are drawn by that cost, with the validation accuracies of the
searches. Prints the share of the box that each dominates, accuracy from 0 to 1 and the cost on a
log scale from the least to the most that any of the trained networks has.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import circumstances
from studies import objective
from studies.objective import MACS, Objective
from studies.pareto.front import front
from studies.pareto.hypervolume import hypervolume
from studies.records.fidelity import complete
from studies.records.store import Store
from trainers.intervals import around_mean

_DATABASE = "objectives.db"


@dataclass(frozen=True)
class Point:
    """A trained network, by the cost in question."""

    val_accuracy: float | None
    cost: float


def search(folder: Path, name: str, wanted: Objective, options: list[str]) -> None:
    """Run a search as its users do."""
    command = ["-m", "searchers.run", "--space", "mixed", "--study", name, *options]
    subprocess.run(
        [sys.executable, *command, "--objective", wanted.name],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def points(folder: Path, name: str, by: Objective) -> list[Point]:
    """The networks that a search has trained to the end."""
    with closing(Store(f"sqlite:///{folder / _DATABASE}")) as store:
        study = store.study(name)
        rows = complete(store.evaluations(study), study)
    return [Point(row.val_accuracy, float(getattr(row, by.column))) for row in rows]


def main() -> None:
    """Run both searches for every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "objective", choices=[name for name in objective.OBJECTIVES if name != "macs"]
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--budget", type=int, default=40)
    given = parser.parse_args()
    by = objective.OBJECTIVES.get(given.objective)
    print(circumstances(given.seeds), flush=True)
    gains = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            options = ["--budget", str(given.budget), "--seed", str(seed)]
            options += ["--storage", f"sqlite:///{_DATABASE}"]
            # Where a latency is limited it is predicted, and stands in the rows.
            options += ["--max-latency", "1000s"] * by.timed
            found = {}
            for wanted in (MACS, by):
                search(folder, wanted.name, wanted, options)
                found[wanted.name] = points(folder, wanted.name, by)
        every = [point.cost for point in itertools.chain(*found.values())]
        box = min(every), max(every)
        shares = {name: hypervolume(trained, box) for name, trained in found.items()}
        gains.append(shares[by.name] - shares[MACS.name])
        print(f"seed {seed}: {by.heading} from {by.write(box[0])} to {by.write(box[1])}")
        for name, trained in found.items():
            members = "; ".join(f"{m.val_accuracy:.1%} {by.write(m.cost)}" for m in front(trained))
            print(f"  for {name:18} {shares[name]:.3f}  {members}", flush=True)
    half = f" ± {around_mean(gains):.3f}" if len(gains) > 1 else ""
    print(f"gain {statistics.mean(gains):+.3f}{half} (95 %, n = {len(gains)})")


if __name__ == "__main__":
    main()
