"""A whole search from its settings: data, study, cluster, trials."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nas_space.spaces import registry as spaces
from searchers.problem import Problem
from searchers.ray.cluster import Cluster
from searchers.ray.resources import Resources
from searchers.ray.scheduling import run_trials
from searchers.ray.worker import Job, TrainingJob
from searchers.samplers import registry as samplers
from searchers.samplers.baselines import Baselines
from searchers.schedule.counts import SearchCounts, Snapshot
from searchers.schedule.driver import SearchDriver
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import TrainingQueue
from searchers.settings import Settings
from searchers.setup import SearchSetup
from studies.objective import MACS
from studies.records.claims import Claims
from studies.records.database import StoreError
from studies.records.optuna_mirror import BackgroundMirror, OptunaMirror
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.records.tables import Driver, Study
from trainers.data.balance import Largest
from trainers.data.splits import DatasetError, Subset
from trainers.machine import free_memory
from trainers.recipes import DEFAULT_METRIC, NO_BALANCE

_PATIENCE_SECONDS = 180.0
"""How long a search waits for its database before it stops."""


def training(setup: SearchSetup, resources: Resources) -> Job:
    """The job of a search: to train each architecture.

    Raises:
        DatasetError: the images have to travel to other machines, and do not fit into memory.
    """
    threads = max(1, int(resources.cpus))
    data = setup.dataset.search
    if not resources.here:
        # Other machines do not have the file that the images may be in. Ray takes them there.
        size, free = data.train.pixels.nbytes + data.val.pixels.nbytes, free_memory()
        if data.train.file is not None and free is not None and size > free:
            raise DatasetError(
                f"the images take {size / 1e9:.1f} GB on each machine of the cluster, and here "
                f"{free / 1e9:.1f} GB of memory are free; give a smaller --image-size, or search "
                "on this machine alone, without --address"
            )
        data = data.in_memory()
    return TrainingJob(data, setup.recipe, threads)


@dataclass(frozen=True, slots=True)
class Start:
    """What is known just before the first trial: for the lines above the progress.

    Attributes:
        done_before: evaluations that earlier runs finished.
        delivered: results of earlier runs that the database took only now.
        inherited: trainings of earlier runs that were cut off, and begin again.
        others: searches that work on the same study.
    """

    setup: SearchSetup
    study: Study
    done_before: int
    resources: Resources
    delivered: int
    inherited: int
    others: Sequence[Driver]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a search.

    Attributes:
        study: as stored.
        store: its database, open.
        end: the last snapshot.
        over_because: why it ended before the budget was spent; None if it did not.
        trouble: why Optuna's view of the study is not complete; None if it is.
        acceptance: share of the sampler's proposals that were unseen and within the limits; None
            if there were none.
    """

    study: Study
    store: Store
    end: Snapshot
    over_because: str | None
    trouble: str | None
    acceptance: float | None


def search(
    settings: Settings,
    setup: SearchSetup,
    cluster: Cluster,
    on_start: Callable[[Start], None],
    watch: Callable[[Snapshot], None],
    on_wait: Callable[[str], None],
    make_job: Callable[[SearchSetup, Resources], Job] = training,
) -> Finding:
    """Start or continue a search, until its budget is spent.

    Args:
        settings: see `Settings`.
        setup: made from these settings, see `set_up`.
        cluster: where trials run; it may still be starting.
        on_start: called once, before the first trial.
        watch: called whenever a trial starts or ends.
        on_wait: called with a line when a wait begins, for the database, for Ray or for a worker;
            at the end with each result that neither the database nor a file took.
        make_job: what trials do.

    Raises:
        ClusterError: the cluster cannot be used.
        UnknownObjectiveError: a plugin's objective gives other costs than in earlier runs.
        StoreError: the database cannot be used, or failed later; what was recorded stays.
        KeyboardInterrupt: it had to stop at once.
    """
    store = Store(
        settings.storage,
        create=True,
        on_wait=lambda reason: on_wait(f"waiting for the database ({reason})"),
    )
    study = store.enter(describe(settings, setup))
    # As the study has recorded it: its networks are known by keys that contain all of that.
    setup = dataclasses.replace(setup, space=spaces.recorded(study.space))
    if setup.objective.price is not None:
        setup.problem(settings.limits).check(store.evaluations(study))
    url = store.database.url.render_as_string(hide_password=False)
    shown = OptunaMirror(url, study, setup.space.catalogue())
    with (
        Claims(store, study, _PATIENCE_SECONDS) as claims,
        closing(BackgroundMirror(shown)) as mirror,
    ):
        pending = PendingResults.of(store.database.url, study.name)
        # By the store: what `claims` records is no news to the driver, which has to count these.
        delivered = pending.deliver(
            study.id, lambda entry, weights: store.record(entry, weights, _PATIENCE_SECONDS)
        )
        done = store.count(study)
        resources = cluster.resources(on_wait)
        problem = setup.problem(settings.limits)
        driver = SearchDriver(
            study=study,
            claims=claims,
            pending=pending,
            mirror=mirror,
            queue=_queue(settings, problem, setup.rungs, done),
            limit=TimeLimit(settings.trial_timeout, len(setup.dataset.search.train)),
            counts=SearchCounts(
                settings.budget,
                setup.recipe.epochs,
                problem.bounds,
                setup.metric,
            ),
            concurrency=resources.concurrency,
            seed=settings.seed,
            start_timeout=settings.start_timeout,
            latency_device=setup.latency.device if setup.latency else None,
            watch=watch,
        )
        before = driver.snapshot().finished
        others = claims.others()
        on_start(Start(setup, study, before, resources, delivered, driver.inherited, others))
        if not driver.done:
            job = make_job(setup, resources)
            run_trials(driver, job, resources, on_wait, verbose=settings.verbose)
        if driver.trouble is None:
            mirror.flush()
            # If the database is away now, the next search does this: all that counts is recorded.
            with contextlib.suppress(StoreError):
                mirror.catch_up(claims.orphaned())
    store.database.empty_log()
    # What is said now is about a database that is there.
    driver.check_database()
    if driver.trouble is not None:
        for result in driver.unkept:
            on_wait(result)
        raise StoreError(last_words(driver))
    end = driver.snapshot()
    watch(end)
    return Finding(study, store, end, driver.over_because, mirror.trouble, driver.queue.acceptance)


def _subset(subset: Subset | None) -> dict[str, int | None]:
    return (
        {"subset": None} if subset is None else {"subset": subset.train, "val_subset": subset.val}
    )


def _queue(
    settings: Settings, problem: Problem, rungs: tuple[int, ...], done: int
) -> TrainingQueue:
    sampler = samplers.make(settings.sampler, problem, settings.seed, done)
    proposer = Proposer(problem, sampler, settings.seed + done)
    climbing = Rungs(rungs, problem.octave, problem.judged)
    return TrainingQueue(proposer, climbing, Baselines(problem, settings.budget))


def last_words(driver: SearchDriver) -> str:
    """One line about a database that failed during the search."""
    kept = ""
    if driver.kept:
        results = "1 result" if driver.kept == 1 else f"{driver.kept} results"
        kept = f"; {results} kept in {driver.pending.folder} until the same command continues"
    if driver.others_kept:
        kept += f"; those of {driver.others_kept} more studies are kept, too"
    if driver.unkept:
        kept += (
            f"; above are {len(driver.unkept)} results that nothing has kept: save each of these "
            f"lines as NAME.json in {driver.pending.folder}, and the same command records them, "
            "without weights"
        )
    return f"{driver.trouble}{kept}"


def describe(settings: Settings, setup: SearchSetup) -> Study:
    """The study that these settings ask for, as it is stored."""
    space, recipe, dataset = setup.space, setup.recipe, setup.dataset
    data = dataset.search
    name = f"{space.name}-{Path(data.name).name}-{recipe.name}{recipe.epochs}".replace(":", "-")
    name += "-pretrained" * settings.pretrained
    name += f"-{recipe.metric}" * (recipe.metric != DEFAULT_METRIC)
    name += f"-{recipe.balance}" * (recipe.balance != NO_BALANCE)
    name += f"-n{settings.subset}" * bool(settings.subset)
    name += f"-{setup.objective.name}" * (setup.objective is not MACS)
    return Study(
        name=settings.study or f"{name}-seed{settings.seed}",
        space=space.to_json(),
        dataset={
            "name": data.name,
            "image_size": dataset.image_size,
            **_subset(dataset.subset),
            "reading": dataset.reading.to_json(),
            "val_images": len(data.val),
            "largest": Largest.of(data.classes, data.val.labels).to_json(),
            "flip": data.flip,
            "data_dir": str(settings.data_dir) if settings.data_dir else None,
            "fingerprint": dataset.fingerprint,
            "classes": list(data.classes),
            "shape": list(data.shape),
            "mean": list(data.mean),
            "std": list(data.std),
        },
        recipe=recipe.to_json(),
        objective=setup.objective.name,
        objective_device=setup.objective_device,
        device=None if setup.device is None else setup.device.to_json(),
        command=settings.command,
    )
