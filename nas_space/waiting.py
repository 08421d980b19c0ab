"""What a command is waiting for, told to people once they have to wait themselves."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nas_space.cli import duration

_FIRST_SECONDS, _NEXT_SECONDS = 1.0, 15.0
"""After a second people wonder; later lines are few, so that a log stays short."""


Say = Callable[[str], None]
"""Takes a line for people."""


def silent(_line: str) -> None:
    """Say nothing."""


@contextmanager
def waiting(what: str) -> Iterator[Say]:
    """Say on standard error what takes long, after a second and then every quarter of a minute.

    Args:
        what: like ``reading the images``.

    Yields:
        A function that takes another text for the next line.
    """
    shown, over, began = [what], threading.Event(), time.monotonic()

    def say() -> None:
        pause = _FIRST_SECONDS
        while not over.wait(pause):
            since = time.monotonic() - began
            so_far = f" ({duration(since)} so far)" if since > _NEXT_SECONDS else ""
            print(f"{shown[0]}{so_far} …", file=sys.stderr, flush=True)  # noqa: T201
            pause = _NEXT_SECONDS

    def told(text: str) -> None:
        shown[0] = text

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()
