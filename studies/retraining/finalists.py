"""What `python -m studies.finalists` does: train the front again, and draw it anew."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from random import Random

from nas_space import plugins
from nas_space.cli import console
from nas_space.programs import spoken
from nas_space.spaces.building import build
from nas_space.waiting import waiting
from studies import images, objective
from studies.arguments import default_url
from studies.cli import CommandError
from studies.model.accuracy import better_than_measured
from studies.pareto.front import front
from studies.records.fidelity import complete
from studies.records.store import Store
from studies.records.tables import Evaluation, Retraining, Study
from studies.retraining import summary
from studies.retraining.plan import RetrainingPlan
from studies.retraining.process_pool import Lost, side_by_side
from studies.retraining.progress import RetrainingProgress
from studies.retraining.retrained_front import (
    Fidelity,
    RetrainedFront,
    retrained_front,
)
from studies.retraining.training import RetrainingSetup, workers
from studies.retraining.work import Work
from trainers.evaluators import function
from trainers.recipes import RECIPES, Recipe, recorded

_LARGEST_SEED = 2**31 - 1
"""The largest that all databases can store."""


def finalists(arguments: argparse.Namespace) -> int:
    """Train what is missing, and print the front of all fresh seeds; the exit code.

    Args:
        arguments: see `studies.finalists`.
    """
    with closing(Store(arguments.storage, on_wait=_say_waiting)) as store:
        study = store.study(arguments.study)
        recipe = _recipe(study, arguments.recipe, arguments.epochs)
        if recipe.evaluate is not None:
            function(recipe.evaluate)  # what cannot be trained is refused now
        with waiting("learning from the trainings of the search"):
            evaluations = store.evaluations(study)
            on_front = front(complete(evaluations, study))
            others = better_than_measured(study, evaluations)
        members = [*on_front, *others]
        if not members:
            raise CommandError(f"study {study.name} has no finished evaluation yet")
        if max(member.seed for member in members) > _LARGEST_SEED - arguments.seeds:
            raise CommandError(
                f"study {study.name} has a seed that no other can follow: is it ours?"
            )
        fidelity = Fidelity(recipe.name, recipe.epochs)
        plan = RetrainingPlan(members, fidelity, arguments.seeds, again=arguments.retry_failed)
        _work(Work(store, study, plan, recipe), arguments)
        rows = store.retrainings(study)
        found = retrained_front(on_front, rows, fidelity, others)
        if arguments.json:
            print(json.dumps({"study": study.name} | summary.as_json(found), indent=2))  # noqa: T201
        else:
            _conclude(found, study, arguments)
        return _say_failures(found, plan.failed(rows))


def _check_here(study: Study, members: Sequence[Evaluation]) -> None:
    """See that all that the networks need is known here, before anything is trained.

    Raises:
        ConvnasError: a type, an objective or the function of a space is missing.
    """
    objective.of(study)
    for member in members:
        architecture = member.parsed_architecture
        build(architecture, study.dataset["shape"][0], len(study.dataset["classes"]))


def _work(work: Work, arguments: argparse.Namespace) -> None:
    """Train what is missing."""
    plan = work.plan
    tasks = plan.missing(work.store.retrainings(work.study), Random())
    if not tasks:
        return
    _check_here(work.study, plan.members)
    # The database may come from anyone: compare its images with those here before training.
    data = images.searched(work.study, arguments.dataset, arguments.data_dir).search
    count = min(arguments.workers or workers(), len(tasks))
    _say(
        f"{len(plan.members)} finalists, {plan.seeds} fresh seeds each, "
        f"{plan.fidelity}: {len(tasks)} of {plan.total} trainings to do, {count} at a time"
    )
    try:
        with RetrainingProgress(plan.total, plan.total - len(tasks), count) as progress:
            left = work.left(tasks, progress)
            with closing(side_by_side(RetrainingSetup(data, work.recipe), left, count)) as results:
                for task, result in results:
                    work.record(task, result)
                    failed = isinstance(result, Lost) or result.outcome is None
                    progress.count(failed=failed)
    except KeyboardInterrupt:
        _say(f"\nstopped; go on with: {spoken('studies.finalists', sys.argv[1:])}")
        raise


def _recipe(study: Study, name: str | None, epochs: int | None) -> Recipe:
    """How to train: by default like the search."""
    recipe = recorded(study.recipe)
    if name is not None and (recipe is None or name != recipe.name):
        recipe = RECIPES.get(name).judging_as(study.recipe)
    if recipe is None:
        raise CommandError(
            f"the recipe {study.recipe['name']} has changed since study {study.name} was searched "
            "with it: say another --recipe"
        )
    return recipe if epochs is None else dataclasses.replace(recipe, epochs=epochs)


def _conclude(found: RetrainedFront, study: Study, arguments: argparse.Namespace) -> None:
    output = console()
    metric = objective.metric_of(study)
    output.print(summary.all_of(found, objective.of(study), metric))
    output.print(
        "MACs are multiply-adds per image, which papers call FLOPs; ± is half a 95 % interval of "
        "the mean (Student's t over n seeds)"
    )
    if not found.front:
        return
    output.print(summary.curse_of(found, metric))
    where = [] if arguments.storage == default_url() else ["--storage", arguments.storage]
    where += [word for module in plugins.named() for word in ("--plugin", module)]
    words = ["--study", study.name, *where, *images.option(study).split()]
    rule = objective.of(study).rule(objective.target_of(study)).split()
    words += ["--retrained", *rule, "--retrain", "--output", "exported"]
    command = spoken("studies.export", words)
    output.print(f"\nnext:\n  {command}", soft_wrap=True)


def _say_failures(found: RetrainedFront, failed: list[Retraining]) -> int:
    """Print the failures; the exit code, 1 if no training has finished."""
    if failed:
        _say(
            f"failed: {len(failed)} of the trainings, the last with {failed[-1].error} "
            "(--retry-failed tries them once more)"
        )
    return 0 if found.front else 1


def _say_waiting(reason: str) -> None:
    _say(f"waiting for the database ({reason})")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - what the user sees
