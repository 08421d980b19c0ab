"""Which sampler finds the best front for a budget? Real trainings on the handwritten digits.

    uv run python -m benchmarks.samplers --budget 60 --seeds 5

Every run is a search without Ray: propose, train, tell, one after another; runs go side by side on
the machine's cores. Prints the hypervolume after parts of the budget as mean and 95 % interval over
the seeds, and the difference to random search on the same seeds.
"""

import argparse
import dataclasses
import math
import multiprocessing
import os
import statistics
import time
import warnings
from dataclasses import dataclass

import optuna
import torch
from scipy import stats

from nas_space.costs.cost import Task, predict
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.proposals import Proposer
from studies.pareto.hypervolume import hypervolume
from trainers import devices
from trainers.data.registry import load
from trainers.recipes import RECIPES
from trainers.training import Trainer, TrainingDivergedError


@dataclass(frozen=True)
class Run:
    """One search: its sampler and seed, and how many networks it may train for how long."""

    sampler: str
    seed: int
    budget: int
    epochs: int


@dataclass(frozen=True)
class Point:
    """What a front is made of."""

    val_accuracy: float | None
    cost: float


@dataclass(frozen=True)
class Course:
    """Hypervolume after each evaluation of a run, and its mean seconds a proposal."""

    run: Run
    hypervolumes: tuple[float, ...]
    proposal_seconds: float


def search(run: Run) -> Course:
    """Search once."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    data, space = load("digits").search, get("mixed")
    channels, height, width = data.shape
    task = Task(channels, (height, width), len(data.classes))
    bounds = predict(space.smallest(task), task).macs, predict(space.largest(task), task).macs
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=run.epochs)
    trainer = Trainer(data, recipe, devices.best(min(data.shape[1:])))
    problem = Problem(space, task, Limits())
    proposer = Proposer(problem, samplers.make(run.sampler, problem, run.seed), run.seed)
    points: list[Point] = []
    course, waited = [], 0.0
    for _ in range(run.budget):
        start = time.perf_counter()
        proposal = proposer.propose()
        waited += time.perf_counter() - start
        if proposal is None:
            break
        network = build(proposal.architecture, channels, len(data.classes), seed=run.seed)
        try:
            accuracy: float | None = trainer.train(network, seed=run.seed).val_accuracy
        except TrainingDivergedError:
            accuracy = None
        start = time.perf_counter()
        proposer.tell(proposal, accuracy)
        waited += time.perf_counter() - start
        points.append(Point(accuracy, proposal.cost.macs))
        course.append(hypervolume(points, bounds))
    return Course(run, tuple(course), waited / run.budget)


def interval(values: list[float]) -> str:
    """Mean and half width of its 95 % interval (Student's t)."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {stats.t.ppf(0.975, len(values) - 1) * error:.3f}"


def main() -> None:
    """Run all samplers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samplers", nargs="+", default=list(samplers.SAMPLERS))
    given = parser.parse_args()
    marks = [given.budget // 3, 2 * given.budget // 3, given.budget]
    runs = [
        Run(name, seed, given.budget, given.epochs)
        for seed in range(given.seeds)
        for name in given.samplers
    ]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        courses = pool.map(search, runs, chunksize=1)
    by_name = {
        name: [course for course in courses if course.run.sampler == name]
        for name in given.samplers
    }
    print(
        f"n = {given.seeds} seeds, {given.budget} evaluations of {given.epochs} epochs, "
        f"{time.perf_counter() - start:.0f} s; torch {torch.__version__}, optuna "
        f"{optuna.__version__}\n"
    )
    heads = [f"after {mark}" for mark in marks]
    print(f"| sampler | {' | '.join(heads)} | minus random, after {marks[-1]} | ms a proposal |")
    print("| --- " * (len(marks) + 3) + "|")
    for name, found in by_name.items():
        cells = [interval([course.hypervolumes[mark - 1] for course in found]) for mark in marks]
        pairs = zip(found, by_name.get("random", found), strict=True)
        difference = interval([a.hypervolumes[-1] - b.hypervolumes[-1] for a, b in pairs])
        wait = 1000 * statistics.mean(course.proposal_seconds for course in found)
        print(f"| {name} | {' | '.join(cells)} | {difference} | {wait:.0f} |")


if __name__ == "__main__":
    main()
