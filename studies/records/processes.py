"""Which process a search is, and whether the process of another search still lives."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STATE_FIELD, _BEGAN_FIELD = 0, 19
"""Places in /proc/PID/stat, counted from behind the command's name (proc(5): fields 3 and 22)."""
_GONE = frozenset("ZX")
"""States of a process that has ended and only waits to be asked about."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, named so that no other is taken for it.

    Attributes:
        machine: where its number means something: the host and, on Linux, its boot and the
            namespace of process numbers (a container has its own).
        number: its number there.
        began: when it began, as the machine counts, since numbers are used again; empty where the
            machine does not tell.
    """

    machine: str
    number: int
    began: str

    @classmethod
    def own(cls) -> Self:
        """The process that asks."""
        number = os.getpid()
        _, began = _look_up(number) or ("", "")
        return cls(_machine(), number, began)

    def lives(self) -> bool | None:
        """Whether it has not ended; None if it is on another machine and cannot be looked at."""
        if self.machine != _machine():
            return None
        if not self.began:
            return _answers(self.number)
        found = _look_up(self.number)
        return found is not None and found[0] not in _GONE and found[1] == self.began


def _machine() -> str:
    parts = [socket.gethostname()]
    for read in (_boot, _namespace):
        try:
            parts.append(read())
        except OSError:  # not Linux
            continue
    return " ".join(parts)[:255]


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _look_up(number: int) -> tuple[str, str] | None:
    """State and beginning of a process; None if there is none of that number, or no /proc."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name stands in brackets and may hold anything, brackets too.
    fields = text.rpartition(")")[2].split()
    return fields[_STATE_FIELD], fields[_BEGAN_FIELD]


def _answers(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's, but it is there
        return True
    return True
