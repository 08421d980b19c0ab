"""A whole search from its settings: data, study, cluster, trials."""

import dataclasses
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_space import spaces
from nas_space.cost import Task, predict
from nas_space.spaces import Space
from searchers import samplers
from searchers.campaign import Campaign, Snapshot
from searchers.proposals import Limits, Proposer, check_limits
from searchers.scheduling import Resources, Wishes, check_address, check_local, cluster, run_trials
from studies.mirror import Mirror
from studies.records import Study
from studies.store import DEFAULT_URL, Store, parse_url
from trainers import recipes
from trainers.data import Dataset
from trainers.datasets import load
from trainers.recipes import Recipe

_NO_LIMITS = Limits()
_ANYWHERE = Wishes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a user may say about a search; the command line documents each.

    Attributes:
        study: its name; None makes one of the space, data set, recipe and seed.
        flip: whether mirror images may be trained on, where the data set allows it.
        epochs: of the recipe; None leaves the recipe's own.
        command: how the user asked, for the record.
    """

    space: str
    budget: int
    dataset: str = "digits"
    image_size: int | None = None
    subset: int | None = None
    flip: bool = True
    data_dir: Path | None = None
    recipe: str = "quick"
    epochs: int | None = None
    sampler: str = samplers.DEFAULT
    seed: int = 0
    study: str | None = None
    storage: str = DEFAULT_URL
    limits: Limits = _NO_LIMITS
    wishes: Wishes = _ANYWHERE
    verbose: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """What is known when the trials are about to run: for the lines above the progress."""

    space: Space
    dataset: Dataset
    recipe: Recipe
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
    on_start: Callable[[Start], None],
    watch: Callable[[Snapshot], None],
) -> Finding:
    """Run a search, or go on with it, until its budget of finished evaluations is reached.

    Args:
        settings: see `Settings`.
        on_start: called once, before the first trial.
        watch: called whenever a trial starts or ends.

    Raises:
        ValueError: settings that cannot be met, as one of the errors of our packages; nothing has
            been trained then.
        StoreError: the database failed on the way; what was recorded stays.
        KeyboardInterrupt: it was told to stop at once.
    """
    space = spaces.get(settings.space)
    samplers.check(settings.sampler)
    recipe = recipes.get(settings.recipe)
    if settings.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=settings.epochs)
    parse_url(settings.storage)
    if settings.wishes.address is None:
        check_local(settings.wishes)
    else:
        check_address(settings.wishes.address)
    dataset = load(
        settings.dataset,
        image_size=settings.image_size,
        subset=settings.subset,
        data_dir=settings.data_dir,
        flip=settings.flip,
    )
    channels, height, width = dataset.search.shape
    task = Task(channels, (height, width), len(dataset.search.classes))
    check_limits(space, task, settings.limits)
    # Only now is anything written: a slip of the finger leaves no empty database behind.
    store = Store(settings.storage, create=True)
    study = store.enter(describe(settings, space, dataset, recipe))
    before = store.evaluations(study)
    sampler = samplers.make(settings.sampler, settings.seed, len(before))
    proposer = Proposer(space, task, sampler, settings.limits, settings.seed + len(before))
    mirror = Mirror(settings.storage, study.name, space.catalogue())
    bounds = predict(space.smallest(task), task).macs, predict(space.largest(task), task).macs
    with closing(mirror), cluster(settings.wishes, verbose=settings.verbose) as resources:
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
        on_start(Start(space, dataset, recipe, study, done, resources))
        if not campaign.done:
            run_trials(campaign, dataset.search, recipe, resources, verbose=settings.verbose)
    end = campaign.snapshot()
    watch(end)
    return Finding(study, store, end, campaign.over_because, mirror.trouble)


def describe(settings: Settings, space: Space, dataset: Dataset, recipe: Recipe) -> Study:
    """The study that these settings ask for, as it is stored."""
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
