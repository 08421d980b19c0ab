"""How accurate networks may get: what decides who goes up a rung in a search for one cost.

Some types learn slowly at first and end best. A model of all trainings, short and full, learns by
how much: so a network goes up by what it may reach, not by what it has on its rung.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nas_space.spaces.architecture import Architecture
from nas_space.spaces.features import describe
from searchers.problem import Problem
from searchers.schedule.rungs import RungResult
from studies.model.accuracy import Point, inputs, learnt

if TYPE_CHECKING:
    # Reading the command line must import neither the database nor scipy.
    from studies.model.gaussian import Gaussian
    from studies.records.tables import Evaluation

_FEWEST_TRAININGS = 8
"""With fewer, the accuracies of the rung count."""
_MOST_TRAININGS = 450
"""The latest are learnt: the time of a fit grows with the cube of their number."""


class Forecast:
    """See the module.

    Args:
        problem: what is searched.
        full: epochs of a full training.
    """

    def __init__(self, problem: Problem, full: int) -> None:
        self._problem, self._full = problem, full
        self._features: dict[str, list[float]] = {}
        self._points: dict[tuple[str, int], Point] = {}
        self._model: Gaussian | None = None

    def learn(self, evaluations: "Sequence[Evaluation]") -> None:
        """Learn evaluations of earlier runs, or of other searches that run now."""
        finished = [found for found in evaluations if found.val_accuracy is not None]
        for found in finished[-_MOST_TRAININGS:]:
            self.tell(found.parsed_architecture, found.epochs, found.val_accuracy or 0.0)

    def tell(self, architecture: Architecture, epochs: int, val_accuracy: float) -> None:
        """Learn a training of so many epochs."""
        key, problem = architecture.key, self._problem
        if key not in self._features:
            space, cost = problem.space, problem.cost(architecture)
            self._features[key] = describe(
                architecture, problem.task, cost, space.kinds, space.sections
            )
        self._points[key, epochs] = Point(self._features[key], epochs, val_accuracy)
        self._model = None

    def hopes(self, results: Iterable[RungResult]) -> list[RungResult]:
        """The results of a rung, each with the accuracy that a full training may bring.

        It is a standard deviation above what is expected: networks of which little is known go
        up, too, because only so is it found out how their types end.
        """
        known = [result for result in results if result.key in self._features]
        if len(self._points) < _FEWEST_TRAININGS or not known:
            return known
        if self._model is None:
            self._model = learnt(list(self._points.values())[-_MOST_TRAININGS:])
        features = [self._features[result.key] for result in known]
        means, deviations = self._model.predict(inputs(features, self._full))
        hopes = (float(hope) for hope in means + deviations)
        return [
            replace(result, val_accuracy=hope) for result, hope in zip(known, hopes, strict=True)
        ]
