"""Progress of the training of one network: a line now and then, and always the last."""

import time
from dataclasses import dataclass, field
from datetime import timedelta

_REPORT_SECONDS = 10.0


@dataclass(slots=True)
class EpochLines:
    """Prints a line for the first epoch, for the last, and every ten seconds in between.

    Attributes:
        epochs: how many there will be.
    """

    epochs: int
    _start: float = field(default_factory=time.monotonic)
    _said: float = 0.0
    _first: int = 0

    def __call__(self, epoch: int, loss: float) -> None:
        """Take note of a finished epoch and its mean loss."""
        now = time.monotonic()
        # A resumed training does not begin at epoch 1.
        self._first = self._first or epoch
        if epoch in {self._first, self.epochs} or now - self._said > _REPORT_SECONDS:
            left = (now - self._start) / (epoch - self._first + 1) * (self.epochs - epoch)
            told = timedelta(seconds=round(left))
            line = f"  epoch {epoch}/{self.epochs}: training loss {loss:.4f}, {told} left"
            print(line, flush=True)  # noqa: T201 - that is what it is for
            self._said = now
