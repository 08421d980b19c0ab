"""What a search makes large: accuracy, another share, or the number of a user's own function."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas_space.errors import ConvnasError
from nas_space.registry import Registry, given
from trainers.data.balance import Answers

_MOST = 1e100


@dataclass(frozen=True, slots=True)
class Metric:
    """How good a network is, as one number.

    Attributes:
        name: as people read it.
        meaning: in a few words, for those who do not know it.
        of: it, of a network's answers; None is what a function of the user's own gives.
        is_share: whether it is from 0 to 1, and written in per cent. Any other number may be of any
            size, and below 0.
        is_accuracy: whether it is the share of images that are classified right, to which the
            number of images gives an interval.
    """

    name: str
    meaning: str = ""
    of: Callable[[Answers], float] | None = None
    is_share: bool = False
    is_accuracy: bool = False

    def holds(self, value: object) -> bool:
        """Whether a value is one of its numbers; NaN is none."""
        if not isinstance(value, int | float | np.floating) or isinstance(value, bool):
            return False
        # Of larger ones not even a variance can be computed.
        found = float(value)
        return 0 <= found <= 1 if self.is_share else abs(found) < _MOST

    def write(self, value: float | None, digits: int = 2) -> str:
        """A value for people; a dash for None.

        Args:
            value: of a network, or half an interval of such values.
            digits: of a per cent, behind the point.
        """
        if value is None:
            return "–"
        return f"{value:.{digits}%}" if self.is_share else f"{value:.6g}"

    def difference(self, value: float | None, digits: int = 2) -> str:
        """The difference of two values, with its sign."""
        if value is None:
            return "–"
        return f"{value:+.{digits}%}" if self.is_share else f"{value:+.3g}"

    def floor(self, lowest: float) -> float:
        """From where on the values of a front count, where this is the lowest of them."""
        return 0.0 if self.is_share else min(0.0, lowest)


def number(given: object) -> float:
    """What a user's own function gives, as a number; NaN if it is none, such as a text or a bool.

    Numbers of numpy and tensors of one number count as numbers.
    """
    if isinstance(given, str | bytes | bool | np.bool_):
        return math.nan
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return math.nan


ACCURACY = Metric(
    "accuracy",
    "the share of images answered right",
    lambda answers: answers.share,
    is_share=True,
    is_accuracy=True,
)

_OURS = {
    "accuracy": ACCURACY,
    "balanced-accuracy": Metric(
        "balanced accuracy",
        "the mean over the classes",
        lambda answers: answers.balanced,
        is_share=True,
    ),
    "macro-f1": Metric(
        "macro-F1",
        "the mean over the classes of F1, which joins recall and precision",
        lambda answers: answers.macro_f1,
        is_share=True,
    ),
}


class UnknownMetricError(ConvnasError):
    """An unknown name of a metric."""


METRICS: Registry[Metric] = Registry(
    "metric",
    UnknownMetricError,
    found=lambda: (given(name, metric, __name__) for name, metric in _OURS.items()),
)
"""The metrics by the names that users type."""


def value_of(answers: Answers, name: str) -> float:
    """What the metric of that name says of a network's answers."""
    of = METRICS.get(name).of
    assert of is not None  # noqa: S101 - all of ours have one
    return of(answers)


def named(name: str) -> Metric:
    """The metric that a record calls so."""
    return next((metric for metric in _OURS.values() if metric.name == name), Metric(name))
