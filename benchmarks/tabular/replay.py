"""Searches replayed on the table's surrogate: which way to propose finds the best front?

    uv run python -m benchmarks.tabular.replay --seeds 20 --budget 200

Two trials run at a time, one epoch of any network takes one unit of time, and the budget counts
epochs. What a search reports is the front of its own, noisy accuracies of full trainings; it is
scored by the mean accuracies of these networks, which no search sees: the share of the box from
the smallest network to 40M MACs that they dominate. Differences are paired by seed.

`optuna-…` are Optuna's samplers as one would use them: `study.ask` and `study.tell`, duplicates are
trained again, and proposals beyond 40M MACs are told as failed, which costs nothing here.
`asha-accuracy` is random search with rungs by accuracy alone, as Ray Tune's ASHA has them.
"""

import argparse
import functools
import heapq
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.tabular.surrogate import Surrogate, read
from benchmarks.tabular.train import EPOCHS, MOST_MACS, TABLE, TASK
from nas_space.costs.cost import predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.training_queue import Assignment, TrainingQueue
from studies.pareto.front import front
from studies.pareto.hypervolume import hypervolume
from trainers.intervals import around_mean

SPACE = get("mixed@1")
LIMITS = Limits(macs=MOST_MACS)
BOUNDS = predict(SPACE.smallest(TASK), TASK).macs, MOST_MACS
_WORKERS = 2
_MARKS = (10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Order:
    """A training that a method wants: from an epoch to another."""

    architecture: Architecture
    start: int
    epochs: int
    token: object = None


class Method(Protocol):
    """A way to search."""

    def next(self, room: int) -> Order:
        """The next training, with so many epochs of the budget left."""

    def tell(self, order: Order, accuracy: float) -> None:
        """How it fared."""


class Ours:
    """Our proposer, with any sampler and rungs."""

    def __init__(
        self, sampler: str, rungs: tuple[int, ...], seed: int, problem: Problem | None = None
    ) -> None:
        problem = problem or Problem(SPACE, TASK, LIMITS)
        made = samplers.make(sampler, problem, seed)
        self._queue = TrainingQueue(
            Proposer(problem, made, seed), Rungs(rungs, problem.octave, problem.judged)
        )

    def next(self, room: int) -> Order:
        """See `Method`."""
        found = self._queue.next(room)
        assert found is not None  # noqa: S101 - the space is endless
        return Order(found.architecture, found.start, found.epochs, found)

    def tell(self, order: Order, accuracy: float) -> None:
        """See `Method`."""
        assert isinstance(order.token, Assignment)  # noqa: S101 - we made it
        self._queue.tell(order.token, accuracy)


class Plain:
    """An Optuna sampler as it comes."""

    def __init__(self, sampler: BaseSampler) -> None:
        self._study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        self._distributions: dict[str, BaseDistribution] = {
            p.name: CategoricalDistribution(p.labels) for p in SPACE.parameters
        }

    def next(self, room: int) -> Order:  # noqa: ARG002 - it knows no budget
        """See `Method`."""
        while True:
            trial = self._study.ask(self._distributions)
            architecture = SPACE.decode(trial.params)
            if LIMITS.excess(predict(architecture, TASK)) == 0:
                return Order(architecture, 0, EPOCHS, trial)
            self._study.tell(trial, state=TrialState.FAIL)

    def tell(self, order: Order, accuracy: float) -> None:
        """See `Method`."""
        macs = predict(order.architecture, TASK).macs
        assert isinstance(order.token, optuna.Trial)  # noqa: S101 - we made it
        self._study.tell(order.token, [accuracy, float(macs)])


@dataclass
class AshaByAccuracy:
    """Random networks, of which the more accurate third of a rung goes on."""

    seed: int
    rungs: tuple[int, ...] = (1, 3, 9)
    finished: dict[int, list[tuple[float, Architecture]]] = field(default_factory=dict)
    gone: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Nobody stands anywhere."""
        self.finished = {rung: [] for rung in self.rungs}
        self.source = Plain(RandomSampler(seed=self.seed))

    def next(self, room: int) -> Order:
        """See `Method`."""
        for rung, above in reversed(list(zip(self.rungs, self.rungs[1:], strict=False))):
            best = sorted(self.finished[rung], key=lambda pair: -pair[0])
            for _, architecture in best[: len(best) // 3]:
                if (architecture.key, rung) not in self.gone:
                    self.gone.add((architecture.key, rung))
                    return Order(architecture, rung, above)
        return Order(self.source.next(room).architecture, 0, self.rungs[0])

    def tell(self, order: Order, accuracy: float) -> None:
        """See `Method`."""
        self.finished[order.epochs].append((accuracy, order.architecture))


_RUNGS = {"": (EPOCHS,), "-rungs-3-9": (3, 9), "-rungs-1-3-9": (1, 3, 9)}

_PEERS: Mapping[str, Callable[[int], Method]] = {
    "optuna-random": lambda seed: Plain(RandomSampler(seed=seed)),
    "optuna-tpe": lambda seed: Plain(TPESampler(seed=seed)),
    "optuna-nsga2": lambda seed: Plain(NSGAIISampler(seed=seed)),
    "optuna-nsga2-10": lambda seed: Plain(NSGAIISampler(seed=seed, population_size=10)),
    "asha-accuracy": AshaByAccuracy,
}
_OURS: Mapping[str, Callable[[int], Method]] = {
    f"{sampler}{name}": functools.partial(Ours, sampler, rungs)
    for sampler in ("random", "tpe", "nsga2", "bayes")
    for name, rungs in _RUNGS.items()
}
METHODS = {**_PEERS, **_OURS}
_DEFAULT = "bayes-rungs-3-9"
"""What a search does unless it is told otherwise."""
_SHOWN = (*_PEERS, "tpe", "bayes", "bayes-rungs-1-3-9", _DEFAULT)


@dataclass(frozen=True)
class Point:
    """A network that was trained, by what it was seen to reach."""

    val_accuracy: float
    cost: float
    architecture: Architecture
    epochs: int


@dataclass(frozen=True)
class Worth:
    """A network by what it really reaches."""

    val_accuracy: float
    cost: float


@dataclass(frozen=True)
class Course:
    """One search.

    Attributes:
        found: hypervolume when so many full trainings had been paid for.
        posing: members of the front of all rows that were not trained to the end.
        trained: how many different networks were begun.
        repeats: how many full trainings were of networks that had one already.
        milliseconds: a proposal, without the training.
    """

    method: str
    seed: int
    found: Mapping[int, float]
    posing: int
    trained: int
    repeats: int
    milliseconds: float


@functools.cache
def surrogate(table: Path, seed: int) -> Surrogate:
    """Fitted once a process."""
    return Surrogate(read(table), seed)


def true(points: Sequence[Point], model: Surrogate) -> float:
    """What the chosen networks are worth."""
    members = front(point for point in points if point.epochs == EPOCHS)
    means = [Worth(float(model.mean(p.architecture)[-1]), p.cost) for p in members]
    return hypervolume(means, BOUNDS)


def replayed(
    searcher: Method,
    seed: int,
    budget: int,
    model: Surrogate,
    watch: Callable[[int, list[Point]], None] = lambda _spent, _points: None,
) -> tuple[list[Point], float]:
    """One search, in virtual time: its trainings, and milliseconds a proposal.

    Args:
        searcher: new.
        seed: of the trainings.
        budget: in full trainings.
        model: gives accuracies.
        watch: called after every training with the epochs that were spent.
    """
    running: list[tuple[int, int, Order]] = []
    clock = number = handed = spent = 0
    waited = 0.0
    points: list[Point] = []
    while True:
        while len(running) < _WORKERS and handed < budget * EPOCHS:
            start = time.perf_counter()
            order = searcher.next(budget * EPOCHS - handed)
            waited += time.perf_counter() - start
            work = order.epochs - order.start
            handed += work
            number += 1
            heapq.heappush(running, (clock + work, number, order))
        if not running:
            return points, 1000 * waited / number
        clock, _, order = heapq.heappop(running)
        accuracy = model.train(order.architecture, seed)[order.epochs - 1]
        spent += order.epochs - order.start
        macs = predict(order.architecture, TASK).macs
        points.append(Point(accuracy, macs, order.architecture, order.epochs))
        searcher.tell(order, accuracy)
        watch(spent, points)


def replay(method: str, seed: int, budget: int, model: Surrogate) -> Course:
    """One search, and how good its front was after so many trainings."""
    found: dict[int, float] = {}
    marks = [mark for mark in _MARKS if mark <= budget]

    def watch(spent: int, points: list[Point]) -> None:
        while len(found) < len(marks) and spent >= marks[len(found)] * EPOCHS:
            found[marks[len(found)]] = true(points, model)

    points, milliseconds = replayed(METHODS[method](seed), seed, budget, model, watch)
    full = [point.architecture.key for point in points if point.epochs == EPOCHS]
    return Course(
        method,
        seed,
        found,
        sum(member.epochs < EPOCHS for member in front(points)),
        len({point.architecture.key for point in points}),
        len(full) - len(set(full)),
        milliseconds,
    )


def quietly() -> None:
    """Silence the libraries."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


def _run(task: tuple[str, int, int, Path, int]) -> Course:
    method, seed, budget, table, trees = task
    quietly()
    return replay(method, seed, budget, surrogate(table, trees))


def _mean(values: Sequence[float]) -> str:
    """Mean and half width of its 95 % interval."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {around_mean(values):.4f}"


def tables(courses: Sequence[Course], methods: Sequence[str], versus: str) -> Iterator[str]:
    """The lines of what is printed."""
    by_name = {
        method: sorted((c for c in courses if c.method == method), key=lambda c: c.seed)
        for method in methods
    }
    marks = list(courses[0].found)
    heads = " | ".join(f"after {mark}" for mark in marks)
    yield f"| method | {heads} | networks | posing | repeats | ms |"
    yield "| --- " * (len(marks) + 5) + "|"
    for name, found in by_name.items():
        cells = [_mean([course.found[mark] for course in found]) for mark in marks]
        cells += [
            f"{statistics.mean(course.trained for course in found):.0f}",
            f"{statistics.mean(course.posing for course in found):.1f}",
            f"{statistics.mean(course.repeats for course in found):.1f}",
            f"{statistics.mean(course.milliseconds for course in found):.0f}",
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    if versus in by_name:
        yield ""
        yield f"| {versus} minus | {heads} |"
        yield "| --- " * (len(marks) + 1) + "|"
        for name, found in by_name.items():
            if name == versus:
                continue
            pairs = list(zip(by_name[versus], found, strict=True))
            cells = [_mean([a.found[mark] - b.found[mark] for a, b in pairs]) for mark in marks]
            yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=int, default=200, help="full trainings")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(_SHOWN), choices=list(METHODS))
    parser.add_argument("--versus", default=_DEFAULT, help="the method that is compared")
    parser.add_argument("--trees", type=int, default=0, help="seed of the surrogate")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    tasks = [
        (method, seed, given.budget, given.table, given.trees)
        for seed in seeds
        for method in given.methods
    ]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
        courses = pool.map(_run, tasks, chunksize=1)
    took = time.perf_counter() - start
    print(f"n = {given.seeds} seeds, {took:.0f} s; optuna {optuna.__version__}\n")
    print("\n".join(tables(courses, given.methods, given.versus)))


if __name__ == "__main__":
    main()
