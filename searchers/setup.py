"""The setup of a search, checked before anything is started or written."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nas_space import devices, extras
from nas_space.costs.cost import Task
from nas_space.devices import Profile
from nas_space.spaces import registry as spaces
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.space import Space
from nas_space.waiting import Say, silent
from searchers.latency.device import LatencyDevice
from searchers.latency.errors import LatencyError
from searchers.latency.model import LatencyModel
from searchers.latency.obtaining import obtain
from searchers.limits import Limits, check_latency, check_limits, part_for
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.rungs import check as check_rungs
from searchers.schedule.rungs import ladder
from searchers.settings import Settings
from studies import objective as objectives
from studies.objective import Objective, UnknownObjectiveError
from studies.runtimes import RUNTIMES
from studies.runtimes.timing import Timing
from trainers import evaluators
from trainers.data.balance import Largest
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import Dataset, SearchData, Subset
from trainers.evaluators import EvaluatorError
from trainers.machine import cores
from trainers.metrics import METRICS, Metric
from trainers.recipes import DEFAULT_METRIC, NO_BALANCE, RECIPES, Recipe


@dataclass(frozen=True, slots=True)
class SearchSetup:
    """Which networks, trained how, on which images.

    Attributes:
        rungs: epochs after which the best go on; the last are those of the recipe.
        objective: the cost that is made small.
        latency: predicts how long networks take; None if not asked for.
        device: that must run each network; None is any.
    """

    space: Space
    recipe: Recipe
    dataset: Dataset
    task: Task
    rungs: tuple[int, ...]
    objective: Objective
    latency: LatencyModel | None = None
    target: float | None = None
    device: Profile | None = None

    @property
    def metric(self) -> Metric:
        """What is made large."""
        return evaluators.metric(self.recipe.evaluate, self.recipe.metric)

    @property
    def objective_device(self) -> str | None:
        """The device of the objective's times; None if the objective is no time."""
        return self.latency.device if self.latency and self.objective.timed else None

    def problem(self, limits: Limits) -> Problem:
        """The problem to search, with these limits; a target is one, too."""
        if self.target is not None:
            limits = limits.at_most(self.objective, self.target)
        space = self.space
        if self.device is not None:
            limits = dataclasses.replace(limits, device=self.device)
            space = part_for(space, self.task, self.device)
        return Problem(space, self.task, limits, self.latency, self.objective, self.target)


def _check_target(problem: Problem) -> None:
    """Raise UnknownObjectiveError if no network within the limits has the cost that is wanted."""
    low, high = problem.bounds
    limit = problem.limits.of(problem.objective)
    high, target, write = min(high, limit or high), problem.target, problem.objective.write
    if target is not None and not low <= target <= high:
        raise UnknownObjectiveError(
            f"--target {write(target)} is out of reach: networks of {problem.space.name} within "
            f"the limits have {write(low)} to {write(high)} {problem.objective.heading}"
        )


def _timing(settings: Settings, *, timed: bool) -> Timing:
    """How latencies are measured.

    Raises:
        LatencyError: they are not, although options say how; or it has fewer cores than threads.
    """
    timing = Timing(settings.runtime, settings.latency_threads, settings.latency_batch)
    if not timed and timing != Timing():
        raise LatencyError(
            "--runtime, --latency-threads and --latency-batch say how latencies are measured: "
            "add --max-latency or --objective latency"
        )
    if (timing.threads or 0) > cores():
        raise LatencyError(f"--latency-threads {timing.threads}: this machine has {cores()} cores")
    return timing


def set_up(settings: Settings, say: Say = silent) -> SearchSetup:
    """Look up what the settings name, read the images, and time the space's layers if needed.

    Args:
        settings: see `Settings`.
        say: gets the progress of reading and timing.

    Raises:
        ConvnasError: the settings cannot be met.
    """
    command = settings.latency_command
    if command is not None:
        extras.check("onnx", "--latency-command")
    device = None if command is None else LatencyDevice(command)
    spaces.check(settings.space)
    objective = objectives.OBJECTIVES.get(settings.objective)
    samplers.check(settings.sampler)
    RUNTIMES.source(settings.runtime)  # refuses an unknown name
    profile = None if settings.device is None else devices.find(settings.device)
    METRICS.get(settings.metric)
    if settings.evaluate is not None and settings.metric != DEFAULT_METRIC:
        raise EvaluatorError(
            f"--evaluate gives a number of its own: leave out --metric {settings.metric}"
        )
    if settings.evaluate is not None and settings.balance != NO_BALANCE:
        raise EvaluatorError(f"--evaluate trains by itself: leave out --balance {settings.balance}")
    recipe = dataclasses.replace(
        RECIPES.get(settings.recipe), metric=settings.metric, balance=settings.balance
    )
    if settings.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=settings.epochs)
    rungs = settings.rungs or ladder(recipe.epochs, recipe.warmup)
    if settings.evaluate is not None:
        evaluators.use(settings.evaluate)
        recipe = recipe.judged_by(settings.evaluate)
        if settings.rungs is None and not evaluators.takes_checkpoints(settings.evaluate):
            rungs = (recipe.epochs,)
    check_rungs(rungs, recipe.epochs)
    dataset = load(
        settings.dataset,
        image_size=settings.image_size,
        subset=settings.subset and Subset.of(settings.subset, settings.val_subset),
        data_dir=settings.data_dir,
        flip=settings.flip,
        reading=Reading(max_pixels=settings.max_pixels),
        say=say,
    )
    channels, height, width = dataset.search.shape
    task = Task(channels, (height, width), len(dataset.search.classes))
    say("looking at the space")
    space = spaces.find(settings.space, task, pretrained=settings.pretrained)
    searched = space if profile is None else part_for(space, task, profile)
    check_limits(searched, task, settings.limits)
    if objective.measure is not None and objective.measure not in space.measures:
        raise UnknownObjectiveError(
            f"--objective {objective.name} is not known for networks of {space.name}: use "
            f"{' or '.join(space.measures).replace('_', '-')} instead"
        )
    timed = device is not None or settings.limits.latency is not None or objective.timed
    timing = _timing(settings, timed=timed)
    if not timed:
        setup = SearchSetup(
            space,
            recipe,
            dataset,
            task,
            rungs,
            objective,
            target=settings.target,
            device=profile,
        )
        _check_target(setup.problem(settings.limits))
        return setup
    if not isinstance(space, ResidualSpace):
        raise LatencyError(
            f"the latency of networks of {space.name} is not predicted; limit their MACs instead, "
            "or choose among them when exporting: studies.export --max-latency"
        )
    latency = obtain(space, task, say, timing, device)
    assert isinstance(searched, ResidualSpace)  # noqa: S101 - a part of one is one
    check_latency(searched, latency, settings.limits)
    setup = SearchSetup(
        space, recipe, dataset, task, rungs, objective, latency, settings.target, profile
    )
    _check_target(setup.problem(settings.limits))
    return setup


def unequal(data: SearchData, recipe: Recipe) -> Iterator[str]:
    """Lines about what to do where classes are of different sizes."""
    if recipe.evaluate is not None:
        return
    largest = Largest.of(data.classes, data.val.labels)
    if largest.unequal and recipe.metric == DEFAULT_METRIC:
        told = "--metric balanced-accuracy, or macro-f1, counts all classes alike"
        yield f"{largest.told('the validation images')}: {told}"
    if Largest.of(data.classes, data.train.labels).unequal and recipe.balance == NO_BALANCE:
        counts = np.bincount(data.train.labels)
        least, most = int(counts.argmin()), int(counts.argmax())
        yield (
            f"{data.classes[most]!r} has {counts[most] / counts[least]:.3g} times the training "
            f"images of {data.classes[least]!r}: --balance sampling, or weights, makes up for it"
        )
