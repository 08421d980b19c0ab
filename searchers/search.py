"""A whole search from its settings: data, study, cluster, trials."""

import contextlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from searchers.problem import Problem
from searchers.ray.cluster import Cluster, Resources
from searchers.ray.scheduling import run_trials
from searchers.ray.worker import Job, Training
from searchers.samplers import registry as samplers
from searchers.schedule.counts import Snapshot, Standing
from searchers.schedule.driver import Campaign
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import Plan
from searchers.settings import Settings
from searchers.setup import Question
from studies.objective import MACS
from studies.records.claims import Ledger
from studies.records.database import StoreError
from studies.records.optuna_mirror import BackgroundMirror, Mirror
from studies.records.pending_results import Outbox
from studies.records.store import Store
from studies.records.tables import Driver, Study

_PATIENCE = 180.0
"""Seconds that a search waits for its database before it stops."""


def training(question: Question, resources: Resources) -> Job:
    """The job of a search: to train each architecture."""
    threads = max(1, int(resources.cpus))
    return Training(
        question.dataset.search, question.recipe, threads, measures_plans=question.measures_plans
    )


@dataclass(frozen=True, slots=True)
class Start:
    """What is known when the trials are about to run: for the lines above the progress.

    Attributes:
        done_before: evaluations that earlier runs finished.
        delivered: results of earlier runs that the database took only now.
        inherited: trainings of earlier runs that were cut off, and begin anew.
        others: searches that work on the same study now.
    """

    question: Question
    study: Study
    done_before: int
    resources: Resources
    delivered: int
    inherited: int
    others: Sequence[Driver]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search leaves behind.

    Attributes:
        study: as stored.
        store: its database, open.
        end: the last snapshot.
        over_because: why it ended before the budget was spent; None if it did not.
        trouble: why Optuna's view of the study is not complete; None if it is.
        acceptance: share of the sampler's proposals that were unseen and within the limits as they
            came; None if there were none.
    """

    study: Study
    store: Store
    end: Snapshot
    over_because: str | None
    trouble: str | None
    acceptance: float | None


def search(
    settings: Settings,
    question: Question,
    cluster: Cluster,
    on_start: Callable[[Start], None],
    watch: Callable[[Snapshot], None],
    on_wait: Callable[[str], None],
    make_job: Callable[[Question, Resources], Job] = training,
) -> Finding:
    """Run a search, or go on with it, until its budget is spent.

    Args:
        settings: see `Settings`.
        question: what these settings ask, see `ask`.
        cluster: where trials run; it may be starting still.
        on_start: called once, before the first trial.
        watch: called whenever a trial starts or ends.
        on_wait: called with the reason when the database has to be waited for.
        make_job: what trials do.

    Raises:
        ClusterError: the cluster cannot be used.
        StoreError: the database cannot be used, or failed on the way; what was recorded stays.
        KeyboardInterrupt: it was told to stop at once.
    """
    store = Store(settings.storage, create=True, on_wait=on_wait)
    study = store.enter(describe(settings, question))
    shown = Mirror(settings.storage, study, question.space.catalogue())
    with Ledger(store, study, _PATIENCE) as ledger, closing(BackgroundMirror(shown)) as mirror:
        outbox = Outbox.of(store.database.url, study.name)
        delivered = outbox.deliver(study.id, ledger.record)
        done = store.count(study)
        resources = cluster.resources()
        problem = question.problem(settings.limits)
        campaign = Campaign(
            study=study,
            ledger=ledger,
            outbox=outbox,
            mirror=mirror,
            plan=_plan(settings, problem, question.rungs, done),
            limit=TimeLimit(settings.trial_timeout, len(question.dataset.search.train)),
            standing=Standing(settings.budget, question.recipe.epochs, problem.bounds),
            concurrency=resources.concurrency,
            seed=settings.seed,
            latency_device=question.latency.device if question.latency else None,
            watch=watch,
        )
        before = campaign.snapshot().finished
        others = ledger.others()
        on_start(Start(question, study, before, resources, delivered, campaign.inherited, others))
        if not campaign.done:
            job = make_job(question, resources)
            run_trials(campaign, job, resources, verbose=settings.verbose)
        if campaign.trouble is None:
            mirror.flush()
            # If the database is away now, the next search sees to it: all that counts is recorded.
            with contextlib.suppress(StoreError):
                mirror.catch_up(ledger.orphaned())
    if campaign.trouble is not None:
        raise StoreError(_last_words(campaign))
    end = campaign.snapshot()
    watch(end)
    return Finding(
        study, store, end, campaign.over_because, mirror.trouble, campaign.plan.acceptance
    )


def _plan(settings: Settings, problem: Problem, rungs: tuple[int, ...], done: int) -> Plan:
    sampler = samplers.make(settings.sampler, problem, settings.seed, done)
    proposer = Proposer(problem, sampler, settings.seed + done)
    return Plan(proposer, Rungs(rungs))


def _last_words(campaign: Campaign) -> str:
    """What to say of a database that failed on the way."""
    kept = ""
    if campaign.kept:
        results = "1 result" if campaign.kept == 1 else f"{campaign.kept} results"
        kept = f"; {results} kept in {campaign.outbox.folder} until the same command goes on"
    return f"{campaign.trouble}{kept}"


def describe(settings: Settings, question: Question) -> Study:
    """The study that these settings ask for, as it is stored."""
    space, recipe, dataset = question.space, question.recipe, question.dataset
    data = dataset.search
    name = f"{space.name.replace(':', '-')}-{Path(data.name).name}-{recipe.name}{recipe.epochs}"
    name += "-pretrained" * settings.pretrained
    name += f"-n{settings.subset}" * bool(settings.subset)
    name += f"-{question.objective.name}" * (question.objective is not MACS)
    return Study(
        name=settings.study or f"{name}-seed{settings.seed}",
        space=space.to_json(),
        dataset={
            "name": data.name,
            "image_size": dataset.image_size,
            "subset": settings.subset,
            "flip": data.flip,
            "data_dir": str(settings.data_dir) if settings.data_dir else None,
            "fingerprint": dataset.fingerprint,
            "classes": list(data.classes),
            "shape": list(data.shape),
            "mean": list(data.mean),
            "std": list(data.std),
        },
        recipe=recipe.to_json(),
        objective=question.objective.name,
        objective_device=question.objective_device,
        command=settings.command,
    )
