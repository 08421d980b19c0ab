"""Hypervolume over cost."""

from studies.analysis.course import course
from studies.pareto.hypervolume import hypervolume
from tests.studies.report.examples import facts, trained

BOX = (1e4, 1e8)


def test_it_ends_with_all_that_was_spent_and_all_that_was_found() -> None:
    shown = facts(trained(60))
    steps = course(shown.evaluations, 6, BOX)
    assert steps[0].spent == steps[0].hypervolume == 0
    epochs = sum(entry.trained for entry in (*shown.complete, *shown.partial))
    assert steps[-1].spent == epochs / 6
    assert steps[-1].hypervolume == hypervolume(shown.front, BOX)


def test_it_never_falls_and_partial_trainings_cost_but_find_nothing() -> None:
    entries = trained(60)
    steps = course(entries, 6, BOX)
    assert list(steps) == sorted(steps, key=lambda step: (step.spent, step.hypervolume))
    partial = [entry for entry in entries if entry.epochs < 6]
    only = course(partial, 6, BOX)
    assert only[-1].spent > 0
    assert {step.hypervolume for step in only} == {0.0}


def test_failed_trainings_are_neither_paid_nor_found() -> None:
    failed = [entry for entry in trained(200) if entry.val_accuracy is None]
    assert failed
    assert {(step.spent, step.hypervolume) for step in course(failed, 6, BOX)} == {(0.0, 0.0)}
