"""Which evaluations are full trainings: accuracies are compared only at equal fidelity."""

from collections.abc import Iterable

from studies.records.tables import Evaluation, Study


def complete(evaluations: Iterable[Evaluation], study: Study) -> list[Evaluation]:
    """The evaluations with all epochs of their study's recipe, failed ones too.

    Fronts are made of these. The others are partial: they stopped on a lower rung.
    """
    full = study.recipe["epochs"]
    return [evaluation for evaluation in evaluations if evaluation.epochs >= full]
