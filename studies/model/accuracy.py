"""How accurate networks of a study are, by a model that learns from all of its trainings.

One training is one draw: with another seed the same network differs by about a point. A model of
all trainings is surer of a network than its own training is, because similar networks count, too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas_space.costs.cost import predict
from nas_space.spaces import registry as spaces
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.features import describe
from nas_space.spaces.space import UnknownSpaceError
from studies.analysis.layer_costs import task_of
from studies.model.gaussian import Gaussian, Kernel, Matrix
from studies.objective import metric_of
from studies.pareto.front import front
from studies.records.fidelity import complete
from studies.records.tables import Evaluation, Study
from trainers.metrics import ACCURACY, Metric

_EPOCHS_WEIGHT = 6.0
"""More epochs change an accuracy more than another feature of the network does."""
_LEAST_SHARE = 0.002
"""Shares nearer to 0 or 1 count as this one, whose log odds are finite."""
_FEWEST_TRAININGS = 8
"""With fewer there is nothing to learn from."""
_MOST_POINTS = 2_000
"""To learn from: the time of a fit grows with their cube, its memory with their square."""


@dataclass(frozen=True, slots=True)
class Point:
    """A training, as the model sees it.

    Attributes:
        features: of the network, see `nas_space.spaces.features`.
        epochs: after which it was measured.
        val_accuracy: then.
    """

    features: Sequence[float]
    epochs: int
    val_accuracy: float


def learnt(points: Sequence[Point], kernel: Kernel | None = None) -> Gaussian:
    """The model of some trainings, to be asked with `inputs`; for `kernel` see `Gaussian`."""
    x = np.vstack([inputs([point.features], point.epochs) for point in points])
    y = np.array([point.val_accuracy for point in points], dtype=np.float64)
    weights = np.ones(x.shape[1])
    weights[-1] = _EPOCHS_WEIGHT
    return Gaussian(x, y, weights, kernel)


def means_of(points: Sequence[Point], epochs: int, metric: Metric = ACCURACY) -> list[float]:
    """The expected accuracy of each of these networks after so many epochs.

    The model learns log odds: near 100 % accuracies crowd, and tiny networks scatter. Other numbers
    than accuracies it learns as they are. Of very many points it learns the longest trainings, of
    these the latest.
    """
    known = list(points)
    if metric.is_share:
        known = [replace(point, val_accuracy=_log_odds(point.val_accuracy)) for point in points]
    if len(known) > _MOST_POINTS:
        known = sorted(known, key=lambda point: point.epochs)[-_MOST_POINTS:]
    means = learnt(known).mean(inputs([point.features for point in points], epochs))
    if not metric.is_share:
        return [float(mean) for mean in means]
    return [1 / (1 + math.exp(-float(mean))) for mean in means]


def _log_odds(share: float) -> float:
    inside = min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)
    return math.log(inside / (1 - inside))


def inputs(features: Sequence[Sequence[float]], epochs: int) -> Matrix:
    """What the model reads (n, d): features of networks, and the logarithm of epochs."""
    return np.array([[*row, math.log(epochs)] for row in features])


def expected(study: Study, evaluations: Sequence[Evaluation]) -> dict[int, float]:
    """The expected validation accuracy after a full training, of each evaluation by its number.

    Args:
        study: its space must be known here.
        evaluations: of the study; those without an accuracy are left out.

    Returns:
        Nothing if there are too few evaluations, or if the space or the classes are unknown.
    """
    finished = [entry for entry in evaluations if entry.val_accuracy is not None]
    if len(finished) < _FEWEST_TRAININGS or "classes" not in study.dataset:
        return {}
    try:
        space = spaces.recorded(study.space)
    except UnknownSpaceError:
        return {}
    task = task_of(study)
    networks = [entry.parsed_architecture for entry in finished]
    features = [
        describe(network, task, predict(network, task), space.kinds, space.sections)
        for network in networks
    ]
    points = [
        Point(row, entry.epochs, entry.val_accuracy or 0.0)
        for row, entry in zip(features, finished, strict=True)
    ]
    means = means_of(points, study.recipe["epochs"], metric_of(study))
    return {entry.number: mean for entry, mean in zip(finished, means, strict=True)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A full training, judged by what the model expects of its network.

    Attributes:
        evaluation: as stored.
        val_accuracy: expected; the measured one where there is no model.
    """

    evaluation: Evaluation
    val_accuracy: float

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.evaluation.number

    @property
    def cost(self) -> float:
        """The cost that the study makes small."""
        return self.evaluation.cost

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""
        return self.evaluation.macs

    @property
    def params(self) -> int:
        """Weights of the network."""
        return self.evaluation.params

    @property
    def parsed_architecture(self) -> Architecture:
        """The network."""
        return self.evaluation.parsed_architecture


def candidates(study: Study, evaluations: Sequence[Evaluation]) -> list[Candidate]:
    """The full trainings of a study, judged by `expected`.

    An expected accuracy is nearer to that of fresh seeds than a measured one, and the choice of the
    best flatters it less (docs/results/search.md).
    """
    means = expected(study, evaluations)
    return [
        Candidate(entry, means.get(entry.number, entry.val_accuracy))
        for entry in complete(evaluations, study)
        if entry.val_accuracy is not None
    ]


def better_than_measured(study: Study, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """What is on the front of the expected accuracies, but not on that of the measured ones."""
    measured = {entry.number for entry in front(complete(evaluations, study))}
    judged = front(candidates(study, evaluations))
    return [found.evaluation for found in judged if found.number not in measured]
