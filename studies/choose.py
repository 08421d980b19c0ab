"""Which evaluation of a study a user means: by number, or by a rule on the front."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.front import front, knee
from studies.records import Evaluation, Status


class NoSuchNetworkError(ValueError):
    """No evaluation keeps the rule; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How to choose. A trial stands alone; limits combine, with the knee as well.

    Attributes:
        trial: exactly this trial.
        knee: the member of the front, within the limits, where more MACs stop paying.
        max_macs: the most accurate within this many multiply-adds per image.
        min_accuracy: the cheapest with at least this validation accuracy, 0 to 1.
    """

    trial: int | None = None
    knee: bool = False
    max_macs: int | None = None
    min_accuracy: float | None = None

    @property
    def given(self) -> bool:
        """Whether there is any rule at all."""
        return self != Rule()

    @property
    def contradictory(self) -> bool:
        """Whether a trial is asked for and something else as well."""
        return self.trial is not None and self != Rule(self.trial)


def choose(evaluations: Sequence[Evaluation], rule: Rule) -> Evaluation:
    """The evaluation that a rule means.

    Raises:
        NoSuchNetworkError: there is none.
    """
    if rule.trial is not None:
        return _trial(evaluations, rule.trial)
    members = front(evaluations)
    if not members:
        raise NoSuchNetworkError("the study has no finished evaluation yet")
    least, best = members[0], members[-1]
    if rule.max_macs is not None:
        members = [member for member in members if member.macs <= rule.max_macs]
        if not members:
            raise NoSuchNetworkError(f"the smallest network of the front has {least.macs} MACs")
    if rule.min_accuracy is not None:
        members = [m for m in members if (m.val_accuracy or 0) >= rule.min_accuracy]
        if not members:
            raise NoSuchNetworkError(
                f"no network within these limits reaches {rule.min_accuracy:.2%}; the best of the "
                f"front has {best.val_accuracy:.2%}"
            )
    if rule.knee:
        return knee(members)
    return members[0] if rule.min_accuracy is not None else members[-1]


def _trial(evaluations: Sequence[Evaluation], number: int) -> Evaluation:
    for evaluation in evaluations:
        if evaluation.number == number:
            if evaluation.status is Status.FAILED:
                raise NoSuchNetworkError(f"trial {number} failed: {evaluation.error}")
            return evaluation
    raise NoSuchNetworkError(f"no trial {number}; the study has 0 to {len(evaluations) - 1}")
