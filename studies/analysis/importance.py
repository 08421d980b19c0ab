"""Which choices go with accuracy: one-way analyses of variance over the full trainings.

An effect is the share of the variance that a choice explains beyond chance (ε²: Kelley, PNAS 21,
1935), among the networks that have the layer. It is association, not cause: a search does not draw
its networks at random.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher

from nas_space.spaces.architecture import Architecture
from studies.analysis.facts import Facts

Vector = NDArray[np.float64]

FEWEST_NETWORKS = 30
"""With fewer networks that have a choice, its effect would be noise."""
_SURE_PROBABILITY = 0.01
"""An effect is sure if chance alone makes one as large less often than this."""
_STEM = "stem"


@dataclass(frozen=True, slots=True)
class Effect:
    """How strongly a choice goes with accuracy.

    Attributes:
        choice: ``stage1.width``, ``stage1.depth``, or a layer such as ``stage1.block2.conv1``.
        networks: that have it.
        accuracy: share of the variance of validation accuracy that it explains, 0 to 1.
        beyond: the same for the accuracy minus a parabola in the logarithm of the cost.
        best: the label whose networks are the most accurate for their cost, on average.
        gain: its accuracy above the mean of all that have the choice, for their cost; a share.
        sure: whether `beyond` is more than chance would explain in 99 of 100 cases.
    """

    choice: str
    networks: int
    accuracy: float
    beyond: float
    best: str
    gain: float
    sure: bool


def effects(facts: Facts) -> list[Effect]:
    """The effect of every choice, the largest `beyond` first.

    None with too few networks, or where all are equally accurate: then there is only rounding to
    explain.
    """
    entries = [entry for entry in facts.complete if entry.val_accuracy is not None]
    if len(entries) < FEWEST_NETWORKS or facts.constant:
        return []
    accuracy = np.array([entry.val_accuracy for entry in entries])
    beyond = _beyond(accuracy, np.log([entry.cost for entry in entries]))
    labels: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for at, entry in enumerate(entries):
        for choice, label in _choices(facts.architectures[entry.number]):
            labels[choice][at] = label
    found = (_effect(choice, made, accuracy, beyond) for choice, made in labels.items())
    return sorted(filter(None, found), key=lambda effect: -effect.beyond)


def _choices(architecture: Architecture) -> Iterator[tuple[str, str]]:
    yield from architecture.dimensions().items()
    for layer in architecture.layers():
        if layer.name != _STEM:
            yield layer.name, layer.conv.kind


def _effect(
    choice: str, made: Mapping[int, str], accuracy: Vector, beyond: Vector
) -> Effect | None:
    rows, names = list(made), sorted(set(made.values()))
    if len(rows) < FEWEST_NETWORKS or len(names) == 1:
        return None
    groups = np.array([names.index(label) for label in made.values()])
    values = beyond[rows]
    means = _means(values, groups)
    best = int(np.argmax(means))
    share, chance = _explained(values, groups)
    return Effect(
        choice,
        len(rows),
        _explained(accuracy[rows], groups)[0],
        share,
        names[best],
        float(means[best] - values.mean()),
        chance < _SURE_PROBABILITY,
    )


def _explained(values: Vector, groups: NDArray[np.int64]) -> tuple[float, float]:
    """ε², at least 0, and the probability that chance explains as much (Fisher's F-test)."""
    count, kinds = len(values), int(groups.max()) + 1
    total = float(((values - values.mean()) ** 2).sum())
    within = float(((values - _means(values, groups)[groups]) ** 2).sum())
    free = count - kinds
    if total <= 0 or free <= 0:
        return 0.0, 1.0
    noise = within / free
    share = max(0.0, (total - within - (kinds - 1) * noise) / total)
    ratio = (total - within) / (kinds - 1) / noise if noise else np.inf
    return share, float(fisher.sf(ratio, kinds - 1, free))


def _means(values: Vector, groups: NDArray[np.int64]) -> Vector:
    means: Vector = np.bincount(groups, values) / np.bincount(groups)
    return means


def _beyond(accuracy: Vector, cost: Sequence[float] | Vector) -> Vector:
    """Accuracy minus a parabola in the cost; with few different costs, minus a line or the mean."""
    degree = min(2, len(set(cost)) - 1)
    left: Vector = accuracy - np.polyval(np.polyfit(cost, accuracy, degree), cost)
    return left
