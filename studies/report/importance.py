"""Which choices go with accuracy: PED-ANOVA over the full trainings.

Importance says which choices the better half of the networks has in common, not what causes it:
a search does not draw its networks at random.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from nas_space.spaces import Space
from studies.report.facts import Facts

FEWEST = 30
"""Networks below which importances would be noise."""
_MOST = 2000
"""The latest of so many are enough, and take a second."""


@dataclass(frozen=True, slots=True)
class Importance:
    """How much a choice matters, as shares of 1 over all choices.

    Attributes:
        choice: a parameter of the space, such as ``stage1.block2.conv1``.
        accuracy: for validation accuracy.
        beyond: for what is left of it when its cost is accounted for.
    """

    choice: str
    accuracy: float
    beyond: float


def importances(facts: Facts, space: Space) -> list[Importance]:
    """Of every choice, the most important for accuracy beyond cost first; none of too few."""
    rows, accuracies, costs = [], [], []
    for entry in facts.complete[-_MOST:]:
        labels = space.encode(facts.architectures[entry.number])
        if labels is not None and entry.val_accuracy is not None:
            rows.append(labels)
            accuracies.append(entry.val_accuracy)
            costs.append(entry.cost)
    if len(rows) < FEWEST:
        return []
    accuracy = _shares(space, rows, accuracies)
    beyond = _shares(space, rows, _beyond(accuracies, costs))
    found = [Importance(name, accuracy.get(name, 0), share) for name, share in beyond.items()]
    return sorted(found, key=lambda one: -one.beyond)


def _beyond(accuracies: Sequence[float], costs: Sequence[float]) -> Sequence[float]:
    """What a parabola in the logarithm of the cost leaves of the accuracies."""
    x, y = np.log(costs), np.array(accuracies)
    degree = min(2, len(set(costs)) - 1)
    left: list[float] = (y - np.polyval(np.polyfit(x, y, degree), x)).tolist()
    return left


def _shares(
    space: Space, rows: Sequence[Mapping[str, str]], values: Sequence[float]
) -> dict[str, float]:
    offered = {p.name: CategoricalDistribution(p.labels) for p in space.parameters}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            create_trial(params=dict(labels), distributions=dict(offered), value=value)
            for labels, value in zip(rows, values, strict=True)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            study,
            evaluator=PedAnovaImportanceEvaluator(
                target_quantile=0.25, region_quantile=1.0, evaluate_on_local=True
            ),
        )
