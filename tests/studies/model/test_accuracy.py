"""What a model of all trainings expects of each of them."""

import math
import random
import statistics

import pytest

from studies.model.accuracy import better_than_measured, candidates, expected
from studies.pareto.front import front
from studies.records.fidelity import complete
from studies.records.tables import Evaluation
from tests.examples import evaluation, study

_NOISE = 0.02


def truth(entry: Evaluation) -> float:
    """Accuracy grows with the logarithm of the cost."""
    return 0.3 + 0.05 * math.log10(entry.macs)


def trained(count: int, seed: int) -> list[Evaluation]:
    """Trainings with noise; every third one stopped on a lower rung, and each tenth failed."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        entry = evaluation(study(), number, 0.5)
        entry.val_accuracy = truth(entry) + chance.gauss(0, _NOISE)
        if number % 3 == 2:
            entry.epochs, entry.val_accuracy = 2, entry.val_accuracy - 0.2
        if number % 10 == 9:
            entry = evaluation(study(), number, None)
        found.append(entry)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_is_nearer_to_the_truth_than_a_training_and_not_flattered_by_the_choice(
    seed: int,
) -> None:
    entries = trained(120, seed)
    found = candidates(study(), entries)
    whole = [entry for entry in complete(entries, study()) if entry.val_accuracy is not None]
    assert [candidate.evaluation for candidate in found] == whole

    def error(accuracies: list[float], of: list[Evaluation]) -> float:
        gaps = (a - truth(entry) for a, entry in zip(accuracies, of, strict=True))
        return math.sqrt(statistics.mean(gap**2 for gap in gaps))

    judged = error([candidate.val_accuracy for candidate in found], whole)
    assert judged < 0.6 * error([entry.val_accuracy or 0.0 for entry in whole], whole)
    lucky, sure = front(whole), front(found)
    flattery = statistics.mean((e.val_accuracy or 0.0) - truth(e) for e in lucky)
    bias = statistics.mean(c.val_accuracy - truth(c.evaluation) for c in sure)
    assert flattery > _NOISE / 2
    assert abs(bias) < flattery / 2


def test_what_it_expects_to_be_on_the_front_is_named_if_it_was_unlucky() -> None:
    entries = trained(120, 0)
    others = better_than_measured(study(), entries)
    measured = {entry.number for entry in front(complete(entries, study()))}
    judged = {candidate.number for candidate in front(candidates(study(), entries))}
    assert {entry.number for entry in others} == judged - measured
    assert others


def test_partial_trainings_are_asked_for_a_full_one() -> None:
    entries = trained(120, 1)
    means = expected(study(), entries)
    partial = [e for e in entries if e.epochs == 2 and e.val_accuracy is not None]
    assert statistics.mean(abs(means[e.number] - truth(e)) for e in partial) < 0.05
    assert means.keys() == {e.number for e in entries if e.val_accuracy is not None}


def test_of_a_few_trainings_each_is_what_was_measured() -> None:
    entries = trained(7, 0)
    assert expected(study(), entries) == {}
    measured = [e.val_accuracy for e in complete(entries, study()) if e.val_accuracy is not None]
    assert [candidate.val_accuracy for candidate in candidates(study(), entries)] == measured


def test_of_a_space_that_is_unknown_here_each_is_what_was_measured() -> None:
    entries = trained(30, 0)
    elsewhere = study(space={"name": "mine", "kinds": ["mine"], "widths": [], "depths": []})
    assert expected(elsewhere, entries) == {}
    assert candidates(elsewhere, entries)[0].val_accuracy == entries[0].val_accuracy


def test_of_very_many_trainings_the_longest_and_of_these_the_latest_are_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluations = trained(120, 0)
    full = [found for found in complete(evaluations, study()) if found.val_accuracy is not None]
    alone = expected(study(), full[-40:])
    monkeypatch.setattr("studies.model.accuracy._MOST_POINTS", 40)
    means = expected(study(), evaluations)
    assert len(means) == sum(entry.val_accuracy is not None for entry in evaluations)
    assert {number: means[number] for number in alone} == pytest.approx(alone, abs=1e-9)
