"""What processes of a pool do in tests; they find it by its name."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial


def start() -> Callable[[int], int]:
    return square


def square(number: int) -> int:
    """Ends its process for some numbers."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        os._exit(7)
    if number == 5:
        raise RuntimeError("the device\nis broken")
    return number**2


def refuse() -> Callable[[int], int]:
    raise MemoryError("no room")


def sleep() -> Callable[[str], None]:
    return partial(_sleep)


def _sleep(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    time.sleep(60)
