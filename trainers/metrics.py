"""What a search makes large: accuracy, or the number of a user's own function."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """How good a network is, as one number.

    Attributes:
        name: as people read it.
        is_accuracy: whether it is the share of images that are classified right, which is written
            in per cent. Any other number may be of any size, and below 0.
    """

    name: str
    is_accuracy: bool = False

    def holds(self, value: object) -> bool:
        """Whether a value is one of its numbers; NaN is none."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return 0 <= value <= 1 if self.is_accuracy else math.isfinite(value)

    def write(self, value: float | None, digits: int = 2) -> str:
        """A value for people; a dash for None.

        Args:
            value: of a network, or half an interval of such values.
            digits: of a per cent, behind the point.
        """
        if value is None:
            return "–"
        return f"{value:.{digits}%}" if self.is_accuracy else f"{value:.4g}"

    def difference(self, value: float | None, digits: int = 2) -> str:
        """The difference of two values, with its sign."""
        if value is None:
            return "–"
        return f"{value:+.{digits}%}" if self.is_accuracy else f"{value:+.3g}"

    def floor(self, lowest: float) -> float:
        """From where on the values of a front count, where this is the lowest of them."""
        return 0.0 if self.is_accuracy else min(0.0, lowest)


def number(given: object) -> float:
    """What a user's own function gives, as a number; NaN if it is none, such as a text or a bool.

    Numbers of numpy and tensors of one number count as numbers.
    """
    if isinstance(given, str | bytes | bool):
        return math.nan
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return math.nan


ACCURACY = Metric("accuracy", is_accuracy=True)


def named(name: str) -> Metric:
    """The metric that a record calls so."""
    return ACCURACY if name == ACCURACY.name else Metric(name)
