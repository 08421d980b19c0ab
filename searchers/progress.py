"""What a person sees while a search runs: one live line on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nas_space.cli import duration
from searchers.standing import Snapshot

_PLAIN_SECONDS = 15.0
_BAR = 24


class Progress:
    """A context that shows snapshots as they come."""

    def __init__(self) -> None:
        self._console = Console(stderr=False, highlight=False)
        terminal = sys.stdout.isatty()
        self._live = Live(console=self._console, refresh_per_second=4) if terminal else None
        self._said = 0.0
        self._last: Snapshot | None = None
        self._spoken: Snapshot | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._last is not None and self._last != self._spoken:
            self._say(self._last)

    def show(self, snapshot: Snapshot) -> None:
        """Show how the search stands."""
        self._last = snapshot
        if self._live is not None:
            self._live.update(Text(line(snapshot, bar=True)))
        elif time.monotonic() - self._said > _PLAIN_SECONDS:
            self._say(snapshot)

    def _say(self, snapshot: Snapshot) -> None:
        print(line(snapshot), flush=True)  # noqa: T201 - plain lines for logs
        self._said = time.monotonic()
        self._spoken = snapshot


def line(snapshot: Snapshot, *, bar: bool = False) -> str:
    """A snapshot in one line."""
    share = min(1.0, snapshot.spent / snapshot.budget)
    drawn = f"{'━' * round(_BAR * share):{'─'}<{_BAR}} " if bar else ""
    best = "–" if snapshot.best is None else f"{snapshot.best:.2%}"
    left = "–" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
    failed = f", {snapshot.failed} failed" if snapshot.failed else ""
    return (
        f"{drawn}{_spent(snapshot)}, {snapshot.running} running{failed}"
        f" · best {best} · hypervolume {snapshot.hypervolume:.3f} · {left} left"
    )


def _spent(snapshot: Snapshot) -> str:
    """How much of the budget is spent, and on what."""
    if not snapshot.partial:
        return f"{snapshot.finished}/{snapshot.budget} done"
    return (
        f"{snapshot.spent:.1f}/{snapshot.budget} trainings' epochs spent: {snapshot.finished} "
        f"complete, {snapshot.partial} partial"
    )
