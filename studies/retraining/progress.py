"""What a person sees while trainings go on: one live line on a terminal, plain lines elsewhere.

It is on standard error: standard output is for the result.
"""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nas_space.cli import duration

_PLAIN_SECONDS = 15.0
_BAR_CHARACTERS = 24


class Progress:
    """A context that counts trainings.

    Args:
        total: of them.
        done: before this command, or by another one.
        running: at a time.
    """

    def __init__(self, total: int, done: int, running: int) -> None:
        self._total, self._before, self._running = total, done, running
        self._done = self._failed = 0
        console = Console(stderr=True, highlight=False)
        self._live = Live(console=console, refresh_per_second=4) if sys.stderr.isatty() else None
        self._start = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        else:
            self._say()

    def count(self, *, failed: bool) -> None:
        """Count one more training that has ended."""
        self._done += 1
        self._failed += failed
        self._show()

    def others(self, settled: int) -> None:
        """Count those that another command has done meanwhile.

        Args:
            settled: trainings that are over, of all.
        """
        self._before = max(self._before, settled - self._done)

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(Text(self._line(bar=True)))
        elif time.monotonic() - self._said > _PLAIN_SECONDS:
            self._say()

    def _say(self) -> None:
        print(self._line(bar=False), file=sys.stderr, flush=True)  # noqa: T201 - lines for logs
        self._said = time.monotonic()

    def _line(self, *, bar: bool) -> str:
        over = self._before + self._done
        left = max(0, self._total - over)
        drawn = (
            f"{'━' * round(_BAR_CHARACTERS * over / self._total):{'─'}<{_BAR_CHARACTERS}} "
            if bar
            else ""
        )
        failed = f", {self._failed} failed" * bool(self._failed)
        seconds = (time.monotonic() - self._start) / self._done * left if self._done else None
        time_left = "–" if seconds is None else duration(seconds)
        running = min(self._running, left)
        return f"{drawn}{over}/{self._total} done, {running} running{failed} · {time_left} left"
