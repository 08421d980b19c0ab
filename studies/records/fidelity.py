"""Accuracies are compared at equal fidelity only: which evaluations were trained to the end."""

from collections.abc import Iterable

from studies.records.tables import Evaluation, Study


def complete(evaluations: Iterable[Evaluation], study: Study) -> list[Evaluation]:
    """The evaluations that were trained for all epochs of their study's recipe, failed ones too.

    A front is made of these. The others are partial: a rung on the way up.
    """
    full = study.recipe["epochs"]
    return [evaluation for evaluation in evaluations if evaluation.epochs >= full]
