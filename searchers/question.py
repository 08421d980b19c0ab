"""What a search is about, read and checked before anything is started or written."""

import dataclasses
from dataclasses import dataclass

from nas_space import spaces
from nas_space.cost import Task
from nas_space.spaces import Space
from searchers import samplers
from searchers.limits import check_limits
from searchers.rungs import check as check_rungs
from searchers.rungs import ladder
from searchers.settings import Settings
from trainers import recipes
from trainers.data import Dataset
from trainers.datasets import load
from trainers.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Question:
    """Which networks, trained how, on which images.

    Attributes:
        rungs: epochs after which the best go on, the last those of the recipe.
    """

    space: Space
    recipe: Recipe
    dataset: Dataset
    task: Task
    rungs: tuple[int, ...]


def ask(settings: Settings) -> Question:
    """Look up what the settings name, and read the images.

    Raises:
        ValueError: settings that cannot be met, as one of the errors of our packages.
    """
    space = spaces.get(settings.space)
    samplers.check(settings.sampler)
    recipe = recipes.get(settings.recipe)
    if settings.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=settings.epochs)
    rungs = settings.rungs or ladder(recipe.epochs)
    check_rungs(rungs, recipe.epochs)
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
    return Question(space, recipe, dataset, task, rungs)
