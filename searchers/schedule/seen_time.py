"""Time as the driver saw it pass: while it is stopped, frozen or suspended, none does."""

import time
from dataclasses import dataclass, field

_LONGEST_LOOK_SECONDS = 5.0
"""Most that passes between two looks. Between its own looks a driver is seldom busy for longer; if
it is, limits are a little longer, which harms nobody."""


@dataclass(slots=True)
class SeenTime:
    """Seconds that passed while the driver was there to see what its workers do.

    A stopped process, a frozen container or a suspended laptop wakes up with a clock that has gone
    on. Results may wait since, or the workers were stopped too: nobody was late.

    Attributes:
        seconds: since the beginning.
    """

    seconds: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Note the time; to be called several times a second."""
        now = time.monotonic()
        self.seconds += min(now - self._last, _LONGEST_LOOK_SECONDS)
        self._last = now
