"""How a search's own work grows with what it has evaluated, and with its workers.

    uv run python -m benchmarks.growth
    uv run python -m benchmarks.growth --workers 1 2 4 8 --seconds 1

The first fills a study with evaluations (random architectures of `mixed`, pretended accuracies)
and times what happens around a trial at each size: opening the study again, a proposal with its
claim, writing the row with its weights, an update of the progress, and what `studies.pareto` reads;
Optuna's view is written in the background.
The second lets trials sleep on more and more workers of one Ray cluster: how near the throughput
comes to workers / seconds is the scheduler's limit.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing

import optuna

from benchmarks import overhead
from benchmarks.tables import circumstances
from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.counts import SearchCounts
from searchers.schedule.driver import SearchDriver
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import Assignment, TrainingQueue
from studies.pareto.front import front
from studies.records.claims import Claims
from studies.records.optuna_mirror import OptunaMirror
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.records.tables import Evaluation, Study

_TASK = Task(1, (8, 8), 10)
_SAMPLES = 20

Times = defaultdict[str, list[float]]
"""Milliseconds by what took them."""


class TimedMirror:
    """Optuna's view of a study, which a search writes in the background; here with its seconds.

    Args:
        mirror: None leaves it out: filling a study with 10,000 of its trials takes ten minutes.
    """

    def __init__(self, mirror: OptunaMirror | None) -> None:
        self._mirror = mirror
        self.milliseconds: list[float] = []

    def catch_up(self, evaluations: Iterable[Evaluation]) -> None:
        """Nothing: the evaluations were added when they were made, or never."""

    def add(self, evaluation: Evaluation) -> None:
        """Add an evaluation."""
        with clock(self.milliseconds):
            if self._mirror is not None:
                self._mirror.add(evaluation)

    def close(self) -> None:
        """Close all connections."""
        if self._mirror is not None:
            self._mirror.close()


@contextlib.contextmanager
def search_driver(url: str, sampler: str, stored: int, *, mirrored: bool) -> Iterator[SearchDriver]:
    """The driver of a search in `mixed` on a database, taken up where it stands."""
    space = get("mixed")
    store = Store(url, create=True)
    study = store.enter(
        Study(
            name="growth",
            space={"name": space.name},
            dataset={"name": "none", "fingerprint": "none", "flip": False, "shape": [1, 8, 8]},
            recipe={"name": "quick", "epochs": 6},
            objective="macs",
            command="",
        )
    )
    mirror = TimedMirror(OptunaMirror(url, study, space.catalogue()) if mirrored else None)
    problem = Problem(space, _TASK, Limits())
    made = samplers.make(sampler, problem, 0, stored)
    proposer = Proposer(problem, made, stored)
    with closing(store), closing(mirror), Claims(store, study) as claims:
        yield SearchDriver(
            study=study,
            claims=claims,
            pending=PendingResults.of(store.database.url, study.name),
            mirror=mirror,
            queue=TrainingQueue(proposer, Rungs((6,))),
            limit=TimeLimit(None, 1),
            counts=SearchCounts(10**9, 6, problem.bounds),
            concurrency=1,
            seed=0,
            watch=lambda _: None,
        )


@contextlib.contextmanager
def clock(into: list[float]) -> Iterator[None]:
    """Adds the milliseconds of a block to a list."""
    start = time.perf_counter()
    yield
    into.append(1000 * (time.perf_counter() - start))


def pretend(proposal: Assignment) -> float:
    """An accuracy that grows with MACs, with noise."""
    noise = random.Random(proposal.architecture.key).gauss(0, 0.02)
    size: float = proposal.cost.macs**0.1
    return min(1.0, max(0.0, 0.5 + size / 12 + noise))


def evaluate(driver: SearchDriver, times: Times) -> None:
    """One trial, of which all is real but the training."""
    with clock(times["propose"]):
        proposal = driver.next("trial")
    assert isinstance(proposal, Assignment)  # noqa: S101 - the space is not exhausted
    result = {"val_accuracy": pretend(proposal), "train_loss": 0.0, "seconds": 1.0}
    with clock(times["record"]):
        driver.finish("trial", result | {"device": "none", "start": 0, "weights": bytes(400_000)})
    with clock(times["progress"]):
        driver.snapshot()


def grow(url: str, sampler: str, target: int, *, mirrored: bool) -> dict[str, float]:
    """Fill the study to that size, open it anew, and time what surrounds a trial there, in ms."""
    unseen: Times = defaultdict(list)
    with search_driver(url, "random", target, mirrored=mirrored) as filler:
        while filler.snapshot().finished < target:
            evaluate(filler, unseen)
    times: Times = defaultdict(list)
    with contextlib.ExitStack() as opened:
        with clock(times["open"]):
            driver = opened.enter_context(search_driver(url, sampler, target, mirrored=mirrored))
        for _ in range(_SAMPLES):
            evaluate(driver, times)
        with clock(times["front"]):
            reader = opened.enter_context(closing(Store(url)))
            front(reader.evaluations(reader.study(driver.study.name)))
        assert isinstance(driver.mirror, TimedMirror)  # noqa: S101 - made above
        times["mirror"] = driver.mirror.milliseconds
    middle = {part: statistics.median(values) for part, values in times.items()}
    middle["record"] -= middle["mirror"]
    middle["sum"] = middle["propose"] + middle["record"] + middle["progress"]
    return middle


def print_growth(sizes: list[int], sampler: str, storage: str | None, *, mirrored: bool) -> None:
    """The table of milliseconds at each size."""
    parts = ["open", "propose", "record", "progress", "sum", "front", *(["mirror"] * mirrored)]
    print(f"sampler {sampler}, milliseconds; sum is of propose, record and progress\n")
    print(f"| evaluations | {' | '.join(parts)} |\n{'| --- ' * (len(parts) + 1)}|")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            found = grow(
                storage or f"sqlite:///{folder}/growth.db", sampler, size, mirrored=mirrored
            )
            cells = [f"{found[part]:.1f}" for part in parts]
            print(f"| {size:,} | {' | '.join(cells)} |", flush=True)


def print_throughput(workers: list[int], seconds: float) -> None:
    """The table of trials a second on more and more workers."""
    print(f"trials of {seconds} s that sleep\n")
    print("| workers | trials a second | of the most possible |\n| --- | --- | --- |")
    for count in workers:
        measured = overhead.measure("convnas", 12 * count, seconds, count)
        speed = count / (seconds + measured.overhead)
        print(f"| {count} | {speed:.1f} | {speed * seconds / count:.0%} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--storage", metavar="URL", help="an empty database (default: SQLite)")
    parser.add_argument("--sampler", default=samplers.DEFAULT, choices=samplers.SAMPLERS)
    parser.add_argument("--mirror", action="store_true", help="fill and time Optuna's view as well")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a sleeping trial")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(circumstances(1) + "\n")
    if given.sizes:
        print_growth(given.sizes, given.sampler, given.storage, mirrored=given.mirror)
        print()
    if given.workers:
        print_throughput(given.workers, given.seconds)


if __name__ == "__main__":
    main()
