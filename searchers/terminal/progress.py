"""What a person sees while a search runs: a live panel on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from nas_space.cli import duration
from searchers.schedule.counts import Snapshot
from searchers.terminal import panel
from studies.objective import Objective

_PLAIN_SECONDS = 15.0
_REFRESHES_PER_SECOND = 2
"""A second, so that the time goes on where trainings are long."""


class Progress:
    """A context that shows snapshots as they come.

    Args:
        objective: of the search.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._console = Console(stderr=False, highlight=False, markup=False)
        self._began = time.monotonic()
        self._said = 0.0
        self._last: Snapshot | None = None
        self._spoken: Snapshot | None = None
        # Gone when the search is over: what it held comes again as the table of the front.
        live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        )
        self._live = live if sys.stdout.isatty() else None

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
        if self._last is not None and self._last != self._spoken:
            self._say(self._last)

    def show(self, snapshot: Snapshot) -> None:
        """Show how the search stands."""
        self._last = snapshot
        if self._live is not None:
            self._live.refresh()
        elif time.monotonic() - self._said > _PLAIN_SECONDS:
            self._say(snapshot)

    def _drawn(self) -> RenderableType:
        if self._last is None:
            return ""
        seconds = time.monotonic() - self._began
        width = self._console.width
        return panel.drawn(self._last, self._objective, line(self._last), seconds, width)

    def _say(self, snapshot: Snapshot) -> None:
        print(line(snapshot), flush=True)  # noqa: T201 - plain lines for logs
        self._said = time.monotonic()
        self._spoken = snapshot


def line(snapshot: Snapshot) -> str:
    """A snapshot in one line."""
    best = "–" if snapshot.best is None else f"{snapshot.best:.2%}"
    left = "–" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
    failed = f", {snapshot.failed} failed" if snapshot.failed else ""
    return (
        f"{_spent(snapshot)}, {snapshot.running} running{failed}"
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
