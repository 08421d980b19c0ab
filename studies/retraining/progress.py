"""Progress while a front is trained again.

It is printed on standard error: standard output is for the result.
"""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from nas_space.cli import duration
from studies.progress import Progress

_BAR_CHARACTERS = 24
_REFRESHES_PER_SECOND = 4


class RetrainingProgress(Progress):
    """A context that counts trainings.

    Args:
        total: all trainings.
        done: trainings that were done before.
        running: how many run at a time.
    """

    def __init__(self, total: int, done: int, running: int) -> None:
        console = Console(stderr=True, highlight=False)
        self._total, self._before, self._running = total, done, running
        self._done = self._failed = 0
        self._shown = Text()
        super().__init__(console, refreshes=_REFRESHES_PER_SECOND, transient=False)
        self._line_at = self._began  # so that the first line comes after a while

    def __enter__(self) -> Self:
        super().__enter__()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._live is None:
            self._print_line()

    def count(self, *, failed: bool) -> None:
        """Count one more finished training."""
        self._done += 1
        self._failed += failed
        self._show()

    def others(self, settled: int) -> None:
        """Count trainings that another command has done meanwhile.

        Args:
            settled: how many of all trainings are over.
        """
        self._before = max(self._before, settled - self._done)

    def _show(self) -> None:
        # The time left is updated at each count: between two counts it would only grow.
        self._shown = Text(f"{self._bar()} {self._line()}")
        self._refresh()

    def _picture(self) -> Text:
        return self._shown

    def _bar(self) -> str:
        full = "━" * round(_BAR_CHARACTERS * (self._before + self._done) / self._total)
        return f"{full:{'─'}<{_BAR_CHARACTERS}}"

    def _line(self) -> str:
        over = self._before + self._done
        left = max(0, self._total - over)
        failed = f", {self._failed} failed" * bool(self._failed)
        seconds = (time.monotonic() - self._began) / self._done * left if self._done else None
        time_left = "–" if seconds is None else duration(seconds)
        running = min(self._running, left)
        return f"{over}/{self._total} done, {running} running{failed} · {time_left} left"
