"""What the sizes of classes do to an accuracy."""

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_UNEQUAL = 1.5
"""How many times the images of the smallest class the largest has, where they count as unequal."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest class of a split.

    Attributes:
        name: of the class.
        share: of the images: the accuracy of always saying it.
        unequal: whether the classes differ much in size; then an accuracy hides the small ones.
    """

    name: str
    share: float
    unequal: bool

    @classmethod
    def of(cls, classes: tuple[str, ...], labels: NDArray[np.int64]) -> Self:
        """The largest class among these labels."""
        counts = np.bincount(labels, minlength=len(classes))
        most = int(counts.argmax())
        unequal = bool(counts.max() > _UNEQUAL * counts.min())
        return cls(classes[most], int(counts[most]) / len(labels), unequal)

    def told(self, split: str) -> str:
        """A sentence about it."""
        said = f"always saying {self.name!r}, the largest class"
        return f"{said}, is right for {self.share:.2%} of {split}"

    def to_json(self) -> dict[str, object]:
        """As a plain dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answers:
    """How right a network's answers are, each number 0 to 1.

    Attributes:
        share: of all images that are classified right: accuracy.
        balanced: mean of the shares of each class that has images.
    """

    share: float
    balanced: float

    @classmethod
    def of(cls, answers: NDArray[np.int64], labels: NDArray[np.int64]) -> Self:
        """Of images with these labels: the class that was answered for each."""
        right, totals = answers == labels, np.bincount(labels)
        found = np.bincount(labels[right], minlength=len(totals))
        there = totals > 0
        return cls(int(right.sum()) / len(right), float((found[there] / totals[there]).mean()))
