"""When failures of trials end a search, because the next trial would fail too."""

from dataclasses import dataclass, field

_ALIKE_FAILURES = 5
"""Failures of one kind in a row that end the search."""
_ANY_FAILURES = 20
"""Failures of any kind in a row that end the search."""


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
            known: `count` when the trial began, if its worker died. A lost machine loses all its
                trials: only those that began after the last failure count.

        Returns:
            Why the search should end now; None if it should not.
        """
        if known is not None and known < self.count:
            return None
        self._reasons.append(reason)
        # Texts differ in numbers ("tried to allocate 31 MiB"), so only the kind of error counts.
        recent = {text.partition(":")[0] for text in self._reasons[-_ALIKE_FAILURES:]}
        if self.count >= _ALIKE_FAILURES and len(recent) == 1:
            return f"{_ALIKE_FAILURES} trials in a row failed alike, the last with: {reason}"
        if self.count >= _ANY_FAILURES:
            return f"{_ANY_FAILURES} trials in a row failed, the last with: {reason}"
        return None
