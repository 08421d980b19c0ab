"""The evaluation that a user chooses: by number, or by a rule on the front."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from nas_space.errors import ConvnasError
from studies.model.accuracy import candidates
from studies.objective import metric_of
from studies.pareto.front import Scored, accuracy_of, front
from studies.pareto.knee import knee
from studies.records.tables import Evaluation, Status, Study
from trainers.metrics import ACCURACY, Metric


class Candidate(Scored, Protocol):
    """An evaluation, or a finalist with the mean accuracy of fresh seeds."""

    @property
    def macs(self) -> int:
        """Multiply-adds per image."""

    @property
    def params(self) -> int:
        """How many weights the network has."""


C = TypeVar("C", bound=Candidate)


class NoSuchNetworkError(ConvnasError):
    """No evaluation fits the rule; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How to choose. A trial cannot be combined; limits can, also with the knee.

    Attributes:
        trial: exactly this trial.
        knee: the network within the limits from which on more cost stops paying.
        max_macs: the most accurate within this many multiply-adds per image.
        max_params: the most accurate within this many parameters.
        max_latency: the most accurate that takes at most this many seconds for an image.
        min_accuracy: the cheapest with at least this validation accuracy, 0 to 1, or with at least
            this number of the user's own function.
    """

    trial: int | None = None
    knee: bool = False
    max_macs: int | None = None
    max_params: int | None = None
    max_latency: float | None = None
    min_accuracy: float | None = None

    @property
    def given(self) -> bool:
        """Whether the user gave any rule."""
        return self != Rule()

    @property
    def contradictory(self) -> bool:
        """Whether a trial is combined with another rule."""
        return self.trial is not None and self != Rule(self.trial)


def choose(
    study: Study,
    evaluations: Sequence[Evaluation],
    rule: Rule,
    latency: Callable[[Evaluation], float],
    usable: Container[int] | None = None,
) -> Evaluation:
    """The evaluation that a rule picks, by expected accuracies (`studies.model.accuracy`).

    Args:
        study: all rules but a trial choose among its full trainings.
        evaluations: of the study; a trial that is asked for may be partial.
        rule: which one.
        latency: see `choose_among`.
        usable: ids of those that a rule may pick; None is all.

    Raises:
        NoSuchNetworkError: there is none.
    """
    if rule.trial is not None:
        return _trial(evaluations, rule.trial)
    found = candidates(study, evaluations)
    members = front(c for c in found if usable is None or c.evaluation.id in usable)
    return choose_among(
        members, rule, lambda member: latency(member.evaluation), metric_of(study)
    ).evaluation


def choose_among(
    members: list[C], rule: Rule, latency: Callable[[C], float], metric: Metric = ACCURACY
) -> C:
    """The member of a front that a rule picks; the rule names no trial.

    Args:
        members: by ascending cost.
        rule: which one.
        latency: seconds that a network takes for one image; called only if the rule limits it, and
            only for members within the other limits.
        metric: what the study makes large.

    Raises:
        NoSuchNetworkError: there is none.
    """
    if not members:
        raise NoSuchNetworkError("the study has no finished evaluation yet")
    best = members[-1]
    members = _small(members, rule.max_macs, lambda member: member.macs, "of the front", "MACs")
    within = "of the front" if rule.max_macs is None else "within these MACs"
    members = _small(members, rule.max_params, lambda member: member.params, within, "parameters")
    if rule.min_accuracy is not None:
        if not metric.holds(rule.min_accuracy):
            raise NoSuchNetworkError(
                f"--min-accuracy {rule.min_accuracy:g} is no accuracy: say one like 0.95 or 95%"
            )
        members = [m for m in members if accuracy_of(m) >= rule.min_accuracy]
        if not members:
            raise NoSuchNetworkError(
                f"no network within these limits reaches {metric.write(rule.min_accuracy)}; the "
                f"best of the front has {metric.write(best.val_accuracy)}"
            )
    if rule.max_latency is not None:
        members = _fast(members, rule.max_latency, latency)
    if rule.knee:
        return knee(members)
    return members[0] if rule.min_accuracy is not None else members[-1]


def _small(
    members: list[C],
    most: int | None,
    size: Callable[[C], int],
    where: str,
    unit: str,
) -> list[C]:
    small = [member for member in members if most is None or size(member) <= most]
    if not small:
        least = min(map(size, members))
        raise NoSuchNetworkError(f"the smallest network {where} has {least} {unit}")
    return small


def _fast(members: Sequence[C], most: float, latency: Callable[[C], float]) -> list[C]:
    seconds = [latency(member) for member in members]
    fast = [member for member, s in zip(members, seconds, strict=True) if s <= most]
    if not fast:
        raise NoSuchNetworkError(
            f"no network within these limits takes at most {1000 * most:g} ms for an image; the "
            f"fastest takes {1000 * min(seconds):.2g} ms on this machine"
        )
    return fast


def _trial(evaluations: Sequence[Evaluation], number: int) -> Evaluation:
    for evaluation in evaluations:
        if evaluation.number == number:
            if evaluation.status is Status.FAILED:
                raise NoSuchNetworkError(f"trial {number} failed: {evaluation.error}")
            return evaluation
    raise NoSuchNetworkError(f"no trial {number}; the study has 0 to {len(evaluations) - 1}")
