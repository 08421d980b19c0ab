"""What the sizes of classes do to an accuracy, and what makes up for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_UNEQUAL = 1.5
"""How many times the images of the smallest class the largest has, where they count as unequal."""
MOST_MISTAKES = 1000
"""Kinds of them that are kept of a network: all of 32 classes, and 10 kB in a database."""


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
    """How right a network's answers are, class by class.

    Attributes:
        images: of each class.
        right: how many of these were answered right.
        answered: how often each class was the answer.
        mistakes: (class, answer, times), the most frequent first; of the others nothing is kept.
    """

    images: tuple[int, ...]
    right: tuple[int, ...]
    answered: tuple[int, ...]
    mistakes: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, answers: NDArray[np.int64], labels: NDArray[np.int64], classes: int = 0) -> Self:
        """Of images with these labels: the class that was answered for each.

        Args:
            answers: (N,).
            labels: (N,).
            classes: how many there are; more if an answer or a label says so.
        """
        classes = max(classes, int(answers.max()) + 1, int(labels.max()) + 1)
        pairs, times = np.unique(labels * classes + answers, return_counts=True)
        found = np.stack([pairs // classes, pairs % classes, times], axis=1)
        mistakes = found[(found[:, 0] != found[:, 1])]
        mistakes = mistakes[np.argsort(-mistakes[:, 2], kind="stable")][:MOST_MISTAKES]
        counted = (labels, labels[answers == labels], answers)
        images, right, answered = (
            tuple(np.bincount(each, minlength=classes).tolist()) for each in counted
        )
        return cls(images, right, answered, tuple(map(tuple, mistakes.tolist())))

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """Of several networks on the same images: the sums; one or more, of the same classes."""
        sums: Counter[tuple[int, int]] = Counter()
        for part in parts:
            sums.update({(label, said): times for label, said, times in part.mistakes})
        images, right, answered = (
            tuple(map(sum, zip(*counts, strict=True)))
            for counts in zip(*((p.images, p.right, p.answered) for p in parts), strict=True)
        )
        mistakes = tuple((*pair, times) for pair, times in sums.most_common(MOST_MISTAKES))
        return cls(images, right, answered, mistakes)

    @property
    def share(self) -> float:
        """Share of all images that are answered right, 0 to 1: accuracy."""
        return sum(self.right) / sum(self.images)

    @property
    def balanced(self) -> float:
        """Mean of these shares over the classes that have images."""
        return float(np.mean([share for share in self.recall if share is not None]))

    @property
    def macro_f1(self) -> float:
        """Mean of `f1` over the classes that have images."""
        return float(np.mean([one for one, n in zip(self.f1, self.images, strict=True) if n]))

    @property
    def recall(self) -> tuple[float | None, ...]:
        """Of each class: the share of its images that is answered right; None without images."""
        return tuple(map(_share, self.right, self.images))

    @property
    def precision(self) -> tuple[float | None, ...]:
        """Of each class: the share of its answers that is right; None if it is no answer."""
        return tuple(map(_share, self.right, self.answered))

    @property
    def f1(self) -> tuple[float, ...]:
        """Of each class: the harmonic mean of recall and precision; 0 without a right answer."""
        counts = zip(self.right, self.images, self.answered, strict=True)
        return tuple(2 * (_share(right, n + times) or 0.0) for right, n, times in counts)

    def to_json(self) -> dict[str, Any]:
        """As plain lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read them back."""
        images, right, answered = (tuple(data[name]) for name in ("images", "right", "answered"))
        return cls(images, right, answered, tuple(map(tuple, data["mistakes"])))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The weight of each class (C,) with which all count alike; its mean over the images is 1.

    A class without images has weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    there = counts > 0
    return np.where(there, len(labels) / there.sum() / np.maximum(counts, 1), 0.0)
