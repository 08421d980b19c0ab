"""Progress of some work: a live picture on a terminal, plain lines elsewhere."""

import abc
import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

_PLAIN_SECONDS = 15.0
"""Time between two plain lines, so that a log stays short."""


class Progress(abc.ABC):
    """A context in which progress is shown.

    Set what `_picture` needs before `__init__`: `Live` asks for a picture at once.

    Args:
        console: where it is shown.
        refreshes: per second, on a terminal.
        transient: whether the live picture vanishes at the end.
    """

    def __init__(self, console: Console, *, refreshes: float, transient: bool) -> None:
        self._console = console
        live = Live(
            console=console,
            get_renderable=self._picture,
            refresh_per_second=refreshes,
            transient=transient,
        )
        self._live = live if console.file.isatty() else None
        self._began = time.monotonic()
        self._line_at = 0.0

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

    @abc.abstractmethod
    def _picture(self) -> RenderableType:
        """The live picture on a terminal."""

    @abc.abstractmethod
    def _line(self) -> str:
        """The line that is printed elsewhere."""

    def _refresh(self) -> None:
        """Show it: at once on a terminal, elsewhere only if no line was printed just now."""
        if self._live is not None:
            self._live.refresh()
        elif time.monotonic() - self._line_at > _PLAIN_SECONDS:
            self._print_line()

    def _print_line(self) -> None:
        print(self._line(), file=self._console.file, flush=True)
        self._line_at = time.monotonic()
