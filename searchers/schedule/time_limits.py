"""How long a trial may take; one that takes longer is taken to hang."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from studies.records.tables import Evaluation

_LEAST_SECONDS = 60.0
_LIMIT_FACTOR = 10.0
"""A trial may take this many times as long as the trials before it."""
_FIRST_SECONDS = 3600.0
_SLOWEST_MACS_PER_SECOND = 1e9
"""The slowest machine to allow for; one core today is fifty times as fast."""
_STEP_FORWARD_PASSES = 3.0
"""The work of a training step, in forward passes."""


@dataclass(slots=True)
class TimeLimit:
    """Seconds that a trial may take: the user's limit, or many times what other trials took.

    Attributes:
        given: the user's limit; None derives one from finished trials, or from the amount of work
            while none has finished.
        images: in an epoch.
    """

    given: float | None
    images: int
    _finished: list[tuple[float, int]] = field(default_factory=list)

    def learn(self, evaluations: Iterable[Evaluation]) -> None:
        """Learn how long trials took."""
        for evaluation in evaluations:
            if evaluation.val_accuracy is not None and evaluation.seconds is not None:
                an_epoch = evaluation.seconds / max(1, evaluation.trained)
                self._finished.append((an_epoch, evaluation.macs))
        # Only two count: the slowest of all, and the slowest for its size.
        self._finished = [
            max(self._finished, key=measure)
            for measure in (_seconds, _seconds_a_mac)
            if self._finished
        ]

    def of(self, macs: int, epochs: int) -> float:
        """Seconds that a trial of these MACs and epochs may take."""
        if self.given is not None:
            return self.given
        if not self._finished:
            return (
                _FIRST_SECONDS
                + _STEP_FORWARD_PASSES * macs * self.images * epochs / _SLOWEST_MACS_PER_SECOND
            )
        slowest = max(seconds * max(1.0, macs / others) for seconds, others in self._finished)
        return max(_LEAST_SECONDS, _LIMIT_FACTOR * slowest * epochs)


def _seconds(finished: tuple[float, int]) -> float:
    return finished[0]


def _seconds_a_mac(finished: tuple[float, int]) -> float:
    seconds, macs = finished
    return seconds / macs
