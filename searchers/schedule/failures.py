"""Which failures of trials are tried once more, and when they end a search."""

from dataclasses import dataclass, field

_ALIKE_FAILURES = 5
"""Failures of one kind in a row that end the search."""
_ANY_FAILURES = 20
"""Failures of any kind in a row that end the search."""
WORKER_DIED, TIME_LIMIT = "WorkerDied", "TimeLimit"
"""Kinds of failures that a trial did not report itself: its worker was lost, or was too slow."""
_PASSING = frozenset({WORKER_DIED, TIME_LIMIT, "OutOfMemoryError", "MemoryError"})
_NO_MEMORY = ("out of memory", "can't allocate memory")
"""How torch says it where the kind of the error does not."""


def kind(reason: str) -> str:
    """The kind of a failure, without its details."""
    return reason.partition(":")[0]


def passes(reason: str) -> bool:
    """Whether a failure may be due to the machine, or to what else ran there at that time.

    Such a trial is tried once more before its architecture has failed for good.
    """
    return kind(reason) in _PASSING or any(words in reason for words in _NO_MEMORY)


@dataclass(slots=True)
class Failures:
    """The failures since the last trial that finished."""

    _reasons: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many there are in a row."""
        return len(self._reasons)

    def clear(self) -> None:
        """A trial has finished."""
        self._reasons.clear()

    def add(self, reason: str, known: int | None = None) -> str | None:
        """Count a failure.

        Args:
            reason: of the failure, its kind before a colon.
            known: `count` when the trial was handed out, if its worker is gone. A lost machine
                loses all its trials: only those handed out after the last failure count.

        Returns:
            Why the search should end now; None if it should not.
        """
        if known is not None and known < self.count:
            return None
        self._reasons.append(reason)
        # Texts differ in numbers ("tried to allocate 31 MiB"), so only the kind of error counts.
        recent = {kind(text) for text in self._reasons[-_ALIKE_FAILURES:]}
        if self.count >= _ALIKE_FAILURES and len(recent) == 1:
            return f"{_ALIKE_FAILURES} trials in a row failed alike, the last with: {reason}"
        if self.count >= _ANY_FAILURES:
            return f"{_ANY_FAILURES} trials in a row failed, the last with: {reason}"
        return None
