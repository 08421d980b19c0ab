"""How long a trial may take before it is taken for hanging."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from studies.records.tables import Evaluation

_LEAST_SECONDS = 60.0
_LIMIT_FACTOR = 10.0
"""How many times as long as the trials before it a trial may take."""
_FIRST_SECONDS = 3600.0
_SLOWEST_MACS_PER_SECOND = 1e9
"""Multiply-adds a second that any machine does; a core of today does fifty times as many."""
_STEP_FORWARD_PASSES = 3.0
"""A step of training costs three times its forward pass."""


@dataclass(slots=True)
class TimeLimit:
    """Seconds that a trial may take: what the user says, or many times what others took.

    Attributes:
        given: the user's limit; None derives one from the trials that have finished, and before
            that from the work itself.
        images: that an epoch looks at.
    """

    given: float | None
    images: int
    _finished: list[tuple[float, int]] = field(default_factory=list)

    def learn(self, evaluations: Iterable[Evaluation]) -> None:
        """Take in how long trials took."""
        for evaluation in evaluations:
            if evaluation.val_accuracy is not None and evaluation.seconds is not None:
                an_epoch = evaluation.seconds / max(1, evaluation.trained)
                self._finished.append((an_epoch, evaluation.macs))
        # The slowest for its size, and the slowest at all, are all that counts.
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
