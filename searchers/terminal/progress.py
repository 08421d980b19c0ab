"""What a person sees while a search runs: a live panel on a terminal, plain lines elsewhere."""

import time
from types import TracebackType

from rich.console import Console, RenderableType

from nas_space.cli import duration
from searchers.schedule.counts import Snapshot
from searchers.terminal import panel
from studies.objective import Objective
from studies.progress import Progress

_REFRESHES_PER_SECOND = 2
"""Often enough that the time moves while trainings are long."""


class SearchProgress(Progress):
    """A context that shows snapshots as they come.

    Args:
        objective: of the search.
    """

    def __init__(self, objective: Objective) -> None:
        console = Console(stderr=False, highlight=False, markup=False)
        self._objective = objective
        self._last: Snapshot | None = None
        self._printed: Snapshot | None = None
        # It vanishes at the end, when the front is printed as a table.
        super().__init__(console, refreshes=_REFRESHES_PER_SECOND, transient=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._last is not None and self._last != self._printed:
            self._print_line()

    def show(self, snapshot: Snapshot) -> None:
        """Show the state of the search."""
        self._last = snapshot
        self._refresh()

    def _picture(self) -> RenderableType:
        if self._last is None:
            return ""
        seconds = time.monotonic() - self._began
        width = self._console.width
        return panel.drawn(self._last, self._objective, line(self._last), seconds, width)

    def _print_line(self) -> None:
        super()._print_line()
        self._printed = self._last

    def _line(self) -> str:
        return "" if self._last is None else line(self._last)


def line(snapshot: Snapshot) -> str:
    """A snapshot in one line."""
    best = snapshot.metric.write(snapshot.best)
    left = "–" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
    failed = f", {snapshot.failed} failed" if snapshot.failed else ""
    failed += f", {snapshot.retried} tried again" if snapshot.retried else ""
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
