"""A whole search from its settings: data, study, cluster, trials."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_space.cost import predict
from searchers import samplers
from searchers.campaign import Campaign, Snapshot
from searchers.cluster import Cluster, Resources
from searchers.proposals import Proposer
from searchers.question import Question
from searchers.scheduling import run_trials
from searchers.settings import Settings
from searchers.worker import Job, Training
from studies.mirror import BackgroundMirror, Mirror
from studies.records import Study
from studies.store import Store


def training(question: Question, resources: Resources) -> Job:
    """The job of a search: to train each architecture."""
    threads = max(1, int(resources.cpus))
    return Training(question.dataset.search, question.recipe, threads)


@dataclass(frozen=True, slots=True)
class Start:
    """What is known when the trials are about to run: for the lines above the progress."""

    question: Question
    study: Study
    done_before: int
    resources: Resources


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search leaves behind.

    Attributes:
        study: as stored.
        store: its database, open.
        end: the last snapshot.
        over_because: why it ended before the budget was spent; None if it did not.
        trouble: why Optuna's view of the study is not complete; None if it is.
    """

    study: Study
    store: Store
    end: Snapshot
    over_because: str | None
    trouble: str | None


def search(
    settings: Settings,
    question: Question,
    cluster: Cluster,
    on_start: Callable[[Start], None],
    watch: Callable[[Snapshot], None],
    make_job: Callable[[Question, Resources], Job] = training,
) -> Finding:
    """Run a search, or go on with it, until its budget of finished evaluations is reached.

    Args:
        settings: see `Settings`.
        question: what these settings ask, see `ask`.
        cluster: where trials run; it may be starting still.
        on_start: called once, before the first trial.
        watch: called whenever a trial starts or ends.
        make_job: what trials do.

    Raises:
        ClusterError: the cluster cannot be used.
        StoreError: the database cannot be used, or failed on the way; what was recorded stays.
        KeyboardInterrupt: it was told to stop at once.
    """
    space, task = question.space, question.task
    store = Store(settings.storage, create=True)
    study = store.enter(describe(settings, question))
    before = store.evaluations(study)
    sampler = samplers.make(settings.sampler, settings.seed, len(before))
    proposer = Proposer(space, task, sampler, settings.limits, settings.seed + len(before))
    bounds = predict(space.smallest(task), task).macs, predict(space.largest(task), task).macs
    shown = Mirror(settings.storage, study.name, space.catalogue())
    with closing(BackgroundMirror(shown)) as mirror:
        resources = cluster.resources()
        campaign = Campaign(
            study=study,
            store=store,
            mirror=mirror,
            proposer=proposer,
            evaluations=before,
            budget=settings.budget,
            concurrency=resources.concurrency,
            seed=settings.seed,
            bounds=bounds,
            watch=watch,
        )
        done = campaign.snapshot().finished
        on_start(Start(question, study, done, resources))
        if not campaign.done:
            job = make_job(question, resources)
            run_trials(campaign, job, resources, verbose=settings.verbose)
    end = campaign.snapshot()
    watch(end)
    return Finding(study, store, end, campaign.over_because, mirror.trouble)


def describe(settings: Settings, question: Question) -> Study:
    """The study that these settings ask for, as it is stored."""
    space, recipe, dataset = question.space, question.recipe, question.dataset
    data = dataset.search
    name = f"{space.name}-{Path(data.name).name}-{recipe.name}{recipe.epochs}"
    sizes = f"-n{settings.subset}" * bool(settings.subset)
    return Study(
        name=settings.study or f"{name}{sizes}-seed{settings.seed}",
        space=_plain(dataclasses.asdict(space)),
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
        command=settings.command,
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON has no better type
    """Tuples as lists, as they come back from the database."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
