"""What an accuracy is worth where classes are of different sizes."""

import numpy as np
import pytest

from trainers.data.balance import Answers, Largest


def test_the_largest_class_is_what_a_network_has_to_beat() -> None:
    found = Largest.of(("common", "rare"), np.repeat([0, 1], [300, 5]))
    assert found == Largest("common", 300 / 305, unequal=True)
    assert found.told("the images") == (
        "always saying 'common', the largest class, is right for 98.36% of the images"
    )
    assert not Largest.of(("a", "b"), np.repeat([0, 1], [5, 4])).unequal
    assert Largest.of(("a", "b"), np.zeros(3, np.int64)).unequal, "one class has no images"


def test_a_balanced_accuracy_counts_every_class_alike() -> None:
    labels = np.repeat([0, 2], [300, 5])
    always = Answers.of(np.zeros_like(labels), labels)
    assert always.share == pytest.approx(300 / 305)
    assert always.balanced == 0.5
    assert Answers.of(labels, labels) == Answers(1.0, 1.0)
    # An answer that is no class of these images is wrong, and no class of its own.
    assert Answers.of(np.where(labels == 0, 7, 2), labels) == Answers(5 / 305, 0.5)
