"""Networks judged by a function of the user's own: ``--evaluate module:function``.

The function trains a module and says how good it is:

    def macro_f1(module, data, epochs): ...
        return score  # any number, to be made large

- ``module``: maps images (N, C, H, W), values 0 to 1, to logits (N, classes), as an export does. It
  has fresh weights, and is trained in place.
- ``data``: a `trainers.data.splits.SearchData`, which has no test images.
- ``epochs``: how long to train, all in all.
- ``seed``, if it takes one: of all chance. Torch's and numpy's generators are seeded with it.
- ``checkpoint``, if it takes one: bytes that it returned for fewer epochs, or None. It then returns
  the score and new bytes, and a search can train in rungs.

This module imports no torch: the driver of a search reads names here.
"""

import inspect
from collections.abc import Callable
from typing import Any

from nas_space import plugins
from nas_space.errors import ConvnasError
from trainers.metrics import METRICS, Metric
from trainers.recipes import DEFAULT_METRIC

Evaluate = Callable[..., Any]
_MOST_LETTERS = 64
"""What the database can keep."""


class EvaluatorError(ConvnasError):
    """A function that cannot judge networks."""


def metric(path: str | None, name: str = DEFAULT_METRIC) -> Metric:
    """What is made large: what the function gives, under its name; without one, that metric.

    Raises:
        UnknownMetricError: there is none of that name.
    """
    if path is None:
        return METRICS.get(name)
    own = path.rpartition(":")[2].replace("_", " ")
    return Metric(own if own != DEFAULT_METRIC else f"own {own}")


def by_recipe(name: str) -> Metric:
    """What a training by a recipe of that name gives, see `Recipe.judged_by`."""
    return metric(name if plugins.is_path(name) else None)


def use(path: str) -> None:
    """Take the function that a user names, in all processes of convnas.

    Raises:
        EvaluatorError: there is none, or it takes something else.
        PluginError: its module cannot be imported.
    """
    if not plugins.is_path(path):
        raise EvaluatorError(f"--evaluate {path}: name a function as module:function")
    if len(path) > _MOST_LETTERS:
        raise EvaluatorError(
            f"--evaluate {path}: give it a name of at most {_MOST_LETTERS} letters, module and all"
        )
    plugins.use(path.partition(":")[0], "--evaluate")
    function(path)


def function(path: str) -> Evaluate:
    """The function of that name, whose module the user has named.

    A study may come from a stranger: what it names is not imported.

    Raises:
        EvaluatorError: the user has not, there is none, or it takes something else.
    """
    module = path.partition(":")[0]
    if module not in plugins.named():
        raise EvaluatorError(
            f"the networks of this study were judged by {path}: if you trust it, add --plugin "
            f"{module}"
        )
    found = plugins.own(path, f"--evaluate {path}", EvaluatorError)
    try:
        takes = inspect.signature(found)
        takes.bind(module=0, data=0, epochs=0, **dict.fromkeys(_more(found)))
        fits = not isinstance(found, type)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise EvaluatorError(
            f"--evaluate {path} must be a function of module, data and epochs (docs/extending.md)"
        )
    made: Evaluate = found
    return made


def takes_checkpoints(path: str) -> bool:
    """Whether trainings by this function can pause and go on."""
    return "checkpoint" in _more(function(path))


def _more(found: Evaluate) -> list[str]:
    """Which of the arguments that it need not take it takes."""
    takes = inspect.signature(found).parameters
    return [name for name in ("seed", "checkpoint") if name in takes]
