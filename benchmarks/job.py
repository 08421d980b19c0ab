"""The whole main job, and its start-up, against the plain stack doing the same trainings.

    uv run python -m benchmarks.job --budget 200

First our search runs as its users run it. Then Ray Tune with `OptunaSearch` on SQLite and a
DataLoader loop (`benchmarks.plain`) evaluates the very architectures that ours trained, with the
same recipe and as many workers. Start-up is the time from the command to the first training.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from benchmarks.tables import circumstances, spread
from nas_space.architecture import Architecture
from nas_space.spaces import get
from searchers.cluster import cores
from studies.records import Status
from studies.store import Store
from trainers import recipes
from trainers.datasets import load

_DATABASE = "job.db"


@dataclass(frozen=True)
class Measured:
    """Seconds: until the first training began, and in all."""

    startup: float
    whole: float


def run(folder: Path, *command: str) -> tuple[float, float]:
    """Run a command; when it began and ended."""
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    start = time.time()
    subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return start, time.time()


def by_convnas(folder: Path, budget: int) -> Measured:
    """The command that the README begins with."""
    storage = f"sqlite:///{_DATABASE}"
    options = ["--space", "mixed", "--budget", str(budget), "--storage", storage, "--rungs", "6"]
    start, end = run(folder, "searchers.run", *options)
    store = Store(f"sqlite:///{folder / _DATABASE}")
    rows = store.evaluations(store.study(None))
    store.close()
    # A row is written when its training has just ended; SQLite forgets that the time is UTC.
    began = [row.created_at.replace(tzinfo=UTC).timestamp() - (row.seconds or 0.0) for row in rows]
    return Measured(min(began) - start, end - start)


def by_plain(folder: Path, workers: int) -> Measured:
    """The same trainings by the plain stack."""
    start, end = run(folder, "benchmarks.job", "--plain", str(workers))
    first = min(map(float, (folder / "log").read_text().split()))
    return Measured(first - start, end - start)


def plain_stack(workers: int) -> None:
    """What runs in the plain stack's process: read what was trained, and train it."""
    from benchmarks import plain  # noqa: PLC0415 - torch and torchvision, as in their scripts

    points = json.loads(Path("points.json").read_text())
    data, recipe = load("digits").search, recipes.get("quick")
    plain.search(get("mixed"), points, data, recipe, workers=workers, log=Path.cwd() / "log")


def points(folder: Path) -> list[dict[str, str]]:
    """The architectures of our study, as labels of the space."""
    store = Store(f"sqlite:///{folder / _DATABASE}")
    rows = store.evaluations(store.study(None))
    store.close()
    trained = [row for row in rows if row.status is Status.FINISHED]
    labels = [get("mixed").encode(Architecture.from_json(row.architecture)) for row in trained]
    return [found for found in labels if found is not None]


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        plain_stack(given.plain)
        return
    ours, theirs = list[Measured](), list[Measured]()
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours.append(by_convnas(folder, given.budget))
            (folder / "points.json").write_text(json.dumps(points(folder)))
            theirs.append(by_plain(folder, cores()))
        print(ours[-1], theirs[-1], file=sys.stderr, flush=True)
    print(circumstances(given.rounds) + f", {given.budget} trials\n")
    print("| | start-up, s | whole job, s |\n| --- | --- | --- |")
    for stack, found in (("plain", theirs), ("convnas", ours)):
        startups, wholes = [m.startup for m in found], [m.whole for m in found]
        print(f"| {stack} | {spread(startups, 1)} | {spread(wholes, 0)} |")
    pairs = list(zip(theirs, ours, strict=True))
    print(
        f"| plain : convnas | {spread([a.startup / b.startup for a, b in pairs], 1)} "
        f"| {spread([a.whole / b.whole for a, b in pairs], 1)} |"
    )


if __name__ == "__main__":
    main()
