"""The whole main job, and its start-up, against the plain stack doing the same trainings.

    uv run python -m benchmarks.job --budget 200
    uv run python -m benchmarks.job --budget 200 --peer 60

First our search runs as its users run it. Then Ray Tune with `OptunaSearch` on SQLite and a
DataLoader loop (`benchmarks.plain`) evaluates the very architectures that ours trained, or the
first --peer of them, with the same recipe and as many workers. Start-up is the time from the
command to the first training, pace that from one training's begin to the next one's, over as many
trainings of both.
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
from typing import Self

from benchmarks.tables import circumstances, spread
from nas_space.spaces.registry import get
from studies.records.store import Store
from studies.records.tables import Status
from trainers.data.registry import load
from trainers.machine import cores
from trainers.recipes import RECIPES

_DATABASE = "job.db"


@dataclass(frozen=True)
class Measured:
    """Seconds: until the first training began, from one's begin to the next one's, and in all."""

    startup: float
    pace: float
    whole: float

    @classmethod
    def of(cls, start: float, began: list[float], end: float) -> Self:
        """Of a run between these times whose trainings began at those."""
        return cls(began[0] - start, (began[-1] - began[0]) / (len(began) - 1), end - start)


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


def by_convnas(folder: Path, budget: int, peer: int) -> Measured:
    """The command that the README begins with; its pace over as many trainings as the peer's."""
    storage = f"sqlite:///{_DATABASE}"
    options = ["--space", "mixed", "--budget", str(budget), "--storage", storage, "--rungs", "6"]
    start, end = run(folder, "searchers.run", *options)
    store = Store(f"sqlite:///{folder / _DATABASE}")
    rows = store.evaluations(store.study(None))
    store.close()
    # A row is written when its training has just ended; SQLite forgets that the time is UTC.
    began = [row.created_at.replace(tzinfo=UTC).timestamp() - (row.seconds or 0.0) for row in rows]
    return Measured.of(start, sorted(began)[:peer], end)


def by_plain(folder: Path, workers: int) -> Measured:
    """The same trainings by the plain stack."""
    start, end = run(folder, "benchmarks.job", "--plain", str(workers))
    return Measured.of(start, sorted(map(float, (folder / "log").read_text().split())), end)


def plain_stack(workers: int) -> None:
    """What runs in the plain stack's process: read what was trained, and train it."""
    from benchmarks import plain  # noqa: PLC0415 - torch and torchvision, as in their scripts

    points = json.loads(Path("points.json").read_text())
    data, recipe = load("digits").search, RECIPES.get("quick")
    plain.search(get("mixed"), points, data, recipe, workers=workers, log=Path.cwd() / "log")


def points(folder: Path) -> list[dict[str, str]]:
    """The architectures of our study, as labels of the space."""
    store = Store(f"sqlite:///{folder / _DATABASE}")
    rows = store.evaluations(store.study(None))
    store.close()
    trained = [row for row in rows if row.status is Status.FINISHED]
    labels = [get("mixed").encode(row.parsed_architecture) for row in trained]
    return [found for found in labels if found is not None]


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--peer", type=int, help="trainings of the plain stack; all if left out")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        plain_stack(given.plain)
        return
    peer = max(2, given.peer or given.budget)
    ours, theirs = list[Measured](), list[Measured]()
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours.append(by_convnas(folder, given.budget, peer))
            (folder / "points.json").write_text(json.dumps(points(folder)[:peer]))
            theirs.append(by_plain(folder, cores()))
        print(ours[-1], theirs[-1], file=sys.stderr, flush=True)
    print(circumstances(given.rounds) + f", {given.budget} trials, of the plain stack {peer}\n")
    print("| | start-up, s | a training, s | whole job, s |\n| --- | --- | --- | --- |")
    for stack, found in (("plain", theirs), ("convnas", ours)):
        print(
            f"| {stack} | {spread([m.startup for m in found], 1)} "
            f"| {spread([m.pace for m in found], 2)} | {spread([m.whole for m in found], 0)} |"
        )
    pairs = list(zip(theirs, ours, strict=True))
    whole = spread([a.whole / b.whole for a, b in pairs], 1) if peer == given.budget else ""
    print(
        f"| plain : convnas | {spread([a.startup / b.startup for a, b in pairs], 1)} "
        f"| {spread([a.pace / b.pace for a, b in pairs], 1)} | {whole} |"
    )


if __name__ == "__main__":
    main()
