"""A search as its user sees it: the lines before it, the progress, the result."""

import logging
import sys
import warnings
from contextlib import ExitStack

import optuna

from nas_space.cli import INTERRUPTED, console, counted
from nas_space.waiting import waiting
from searchers.ray.cluster import Cluster
from searchers.ray.scheduling import INTERRUPT
from searchers.search import Finding, Start, search
from searchers.settings import Settings
from searchers.setup import SearchSetup, unequal
from searchers.terminal.progress import SearchProgress
from studies import images, objective
from studies.cli import typed
from studies.model.accuracy import candidates, expected
from studies.pareto.by_hand import gain
from studies.pareto.table import table
from trainers.data.balance import Largest
from trainers.data.splits import SearchData
from trainers.recipes import resolution_note


def session(settings: Settings, setup: SearchSetup, cluster: Cluster) -> int:
    """Run the search and print about it; the exit code."""
    try:
        finding = conduct(settings, setup, cluster)
    except KeyboardInterrupt:
        print(f"\nstopped; go on with: {settings.command}")  # noqa: T201
        return INTERRUPTED
    return _conclude(settings, finding, setup.dataset.search)


def conduct(settings: Settings, setup: SearchSetup, cluster: Cluster) -> Finding:
    """Run the search, and show its setup and its progress; see `search`."""
    if not settings.verbose:
        _hush()
    with SearchProgress(setup.objective) as progress, ExitStack() as until_the_first_trial:
        until_the_first_trial.enter_context(waiting("starting Ray"))

        def announce(start: Start) -> None:
            until_the_first_trial.close()
            _announce(start)

        return search(settings, setup, cluster, announce, progress.show, _say)


def _announce(start: Start) -> None:
    setup = start.setup
    data, recipe, aim = setup.dataset.search, setup.recipe, setup.objective
    size = "×".join(map(str, data.shape))
    resized = f" (resized to {setup.dataset.image_size})" * bool(setup.dataset.image_size)
    done = f", {start.done_before} done" * bool(start.done_before)
    gpus = f" and {start.resources.gpus:g} GPU" * bool(start.resources.gpus)
    kinds = f" of {', '.join(setup.space.kinds)}" * bool(setup.space.kinds)
    lines = {
        "space": f"{setup.space.name}: {setup.space.size():.3g} architectures{kinds}",
        "data": f"{data.name}: {len(data.train):,} training and {len(data.val):,} validation "
        f"images of {size}{resized}, {len(data.classes)} classes",
        "recipe": f"{recipe.name}, {counted(recipe.epochs, 'epoch')}"
        f"{resolution_note(recipe.resolution)}{_rungs(setup)}",
        "front": f"{aim.title(setup.metric)} ({aim.meaning})",
        **({} if setup.device is None else {"device": setup.device.told}),
        "study": f"{start.study.name}{done}",
        "workers": f"{start.resources.concurrency} at a time, "
        f"{start.resources.cpus:g} CPU{gpus} each",
    }
    remark = setup.space.remark(setup.task)
    remarks = [*setup.dataset.remarks, *unequal(data, recipe), *([remark] if remark else [])]
    notes = [("note", line) for line in remarks]
    for name, line in [*lines.items(), *notes, *_history(start).items()]:
        print(f"{name:8} {line}", flush=True)  # noqa: T201


def _rungs(setup: SearchSetup) -> str:
    lower = setup.rungs[:-1]
    if not lower:
        return ""
    return f"; after {' and '.join(map(str, lower))} the best third continues"


def _history(start: Start) -> dict[str, str]:
    """What earlier runs left of this study, and which searches work on it now."""
    lines = {}
    if start.delivered:
        lines["recovered"] = f"{start.delivered} results that the database had not taken"
    if start.inherited:
        lines["resumed"] = f"{start.inherited} trainings that were cut off begin anew"
    if start.others:
        where = ", ".join(f"process {d.process} on {d.machine.split()[0]}" for d in start.others)
        lines["shared"] = f"the budget is shared with the search at work in {where}"
    return lines


def _conclude(settings: Settings, finding: Finding, data: SearchData) -> int:
    end, store = finding.end, finding.store
    members = store.front(finding.study)
    failed = f", {end.failed} failed" if end.failed else ""
    evaluations = store.evaluations(finding.study)
    means, aim = expected(finding.study, evaluations), objective.of(finding.study)
    metric = objective.metric_of(finding.study)
    if members:
        console().print(table(members, aim, means, metric))
    worth = gain(candidates(finding.study, evaluations), len(data.val), settings.target, metric)
    if means:
        print("expected: by a model of all trainings, which is surer than one")  # noqa: T201
    if worth is not None:
        print(worth.told(aim))  # noqa: T201
    largest = Largest.of(data.classes, data.val.labels)
    if members and largest.unequal and metric.is_accuracy:
        best = max(member.val_accuracy or 0.0 for member in members)
        print(f"best {best:.2%}; {largest.told('the validation images')}")  # noqa: T201
    partial = f" and {end.partial} partial ones" * bool(end.partial)
    where = f"in study {finding.study.name} of {store.shown_url}"
    print(f"{end.finished} evaluations{partial}{failed} {where}")  # noqa: T201
    if finding.acceptance is not None:
        mutated = finding.acceptance < 1
        print(  # noqa: T201
            f"{finding.acceptance:.0%} of the sampler's proposals were unseen and within the "
            "limits as they came" + "; the others were mutated until they were" * mutated
        )
    if members:
        steps = _next_steps(finding, settings.target)
        print("\nnext:\n" + "\n".join(f"  {step}" for step in steps))  # noqa: T201
    if finding.trouble is not None:
        _say(f"optuna-dashboard does not show everything yet ({finding.trouble})")
    if finding.over_because is None:
        return 0
    _say(f"ended before its budget of {end.budget}: {finding.over_because}")
    if finding.over_because != INTERRUPT:
        return 1
    _say(f"go on with: {settings.command}")
    return INTERRUPTED


def _next_steps(finding: Finding, target: float | None) -> list[str]:
    report, dashboard, finalists, export = (
        typed(command, finding.study.name, finding.store.shown_url)
        for command in ("report", "dashboard", "finalists", "export")
    )
    more = images.option(finding.study)
    export += f"{more} {objective.of(finding.study).rule(target)} --retrain --output exported"
    return [report, dashboard, f"{finalists}{more}", export]


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def _hush() -> None:
    """Silence the libraries: we print what matters of their messages."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"ray(\\..*)?|optuna(\\..*)?")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
