"""What an accuracy is worth where classes are of different sizes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from trainers.data.balance import MOST_MISTAKES, Answers, Largest, class_weights


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
    right = Answers.of(labels, labels)
    assert (right.share, right.balanced, right.macro_f1) == (1, 1, 1)
    # An answer that is no class of these images is wrong, and no class of its own.
    strange = Answers.of(np.where(labels == 0, 7, 2), labels)
    assert (strange.share, strange.balanced, strange.macro_f1) == (5 / 305, 0.5, 0.5)


PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(PAIRS, PAIRS)
def test_answers_of_several_networks_together_are_those_of_all_their_images(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    def of(pairs: list[tuple[int, int]]) -> Answers:
        labels, answers = np.asarray(pairs, dtype=np.int64).T
        return Answers.of(answers, labels, 5)

    found, expected = Answers.together([of(one), of(other)]), of(one + other)
    assert replace(found, mistakes=()) == replace(expected, mistakes=())
    assert sorted(found.mistakes) == sorted(expected.mistakes)
    times = [times for _, _, times in found.mistakes]
    assert times == sorted(times, reverse=True)
    assert Answers.together([of(one)]) == of(one)


@given(PAIRS)
def test_the_figures_of_classes_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, answers = np.asarray(pairs, dtype=np.int64).T
    found, there = Answers.of(answers, labels, 5), np.unique(labels)
    matrix = np.diag(found.right)
    for label, answer, times in found.mistakes:
        matrix[label, answer] = times
    assert matrix.tolist() == confusion_matrix(labels, answers, labels=range(5)).tolist()
    assert found.answered == tuple(matrix.sum(axis=0))
    assert found.images == tuple(matrix.sum(axis=1))
    assert found.share == pytest.approx(accuracy_score(labels, answers))
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, answers, labels=there, zero_division=0.0
    )
    assert found.balanced == pytest.approx(recall.mean())
    assert found.macro_f1 == pytest.approx(f1.mean())
    assert [found.recall[at] for at in there] == pytest.approx(recall.tolist())
    assert [found.precision[at] or 0.0 for at in there] == pytest.approx(precision.tolist())
    assert Answers.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_of_many_classes_the_most_frequent_mistakes_are_kept() -> None:
    labels = np.repeat(np.arange(1200), 2)
    answers = (labels + 1) % 1200
    answers[0] = 5
    answers = np.append(answers, 3)
    found = Answers.of(answers, np.append(labels, 2))
    assert len(found.mistakes) == MOST_MISTAKES
    assert found.mistakes[0] == (2, 3, 3)
    assert sum(found.images) == 2401
    assert len(json.dumps(found.to_json())) < 40_000


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_weights_make_all_classes_count_alike(drawn: list[int]) -> None:
    labels = np.asarray(drawn, dtype=np.int64)
    found = class_weights(labels, 6)
    assert found[labels].mean() == pytest.approx(1)
    totals = [found[label] * (labels == label).sum() for label in np.unique(labels)]
    assert totals == pytest.approx([totals[0]] * len(totals))
    assert all(found[label] == 0 for label in set(range(6)) - set(drawn))
