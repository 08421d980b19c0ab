"""The line that says that a database is waited for.

It comes by elapsed time: one attempt on a locked SQLite file waits for a minute inside the driver.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_SECONDS = 3.0
"""Work on a database that takes longer is said to wait."""
_NO_ANSWER = "no answer yet: another program may have locked it"

Because = Callable[[str], None]
"""Takes the reason of a wait, once it is known."""


class Waiting:
    """Says once that a database is waited for, until it has answered again.

    Args:
        say: called with the reason, from a thread of its own; None to say nothing.
    """

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._has_said = False

    @contextmanager
    def told(self) -> Iterator[Because]:
        """Say it if the work inside takes long; gives a function that takes the reason."""
        if self._say is None:
            yield lambda _: None
            return
        reasons = [_NO_ANSWER]
        timer = threading.Timer(QUIET_SECONDS, self._tell, [self._say, reasons])
        timer.daemon = True
        timer.start()
        try:
            yield reasons.append
        finally:
            timer.cancel()
        self._has_said = False

    def _tell(self, say: Callable[[str], None], reasons: list[str]) -> None:
        # Of several threads that wait, the heartbeat's perhaps, one says it.
        with self._lock:
            if self._has_said:
                return
            self._has_said = True
        say(reasons[-1])
