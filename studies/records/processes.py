"""The process of a search, and whether that of another search still lives."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STATE_FIELD, _BEGAN_FIELD = 0, 19
"""Positions in /proc/PID/stat after the command's name (proc(5): fields 3 and 22)."""
_GONE = frozenset("ZX")
"""States of a process that has ended, but whose parent has not noticed."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, described so that no other can be confused with it.

    Attributes:
        machine: where its number is valid: the host and, on Linux, its boot and the namespace of
            process numbers (a container has its own).
        number: its number there.
        began: when it began, in the machine's own unit, since numbers are used again; empty if the
            machine does not tell.
    """

    machine: str
    number: int
    began: str

    @classmethod
    def own(cls) -> Self:
        """The current process."""
        number = os.getpid()
        _, began = _look_up(number) or ("", "")
        return cls(_machine(), number, began)

    def lives(self) -> bool | None:
        """Whether it still runs; None if it is on another machine, where this is unknown."""
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
    """State and start of a process; None if there is no such process, or no /proc."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in brackets and may contain anything, even brackets.
    fields = text.rpartition(")")[2].split()
    return fields[_STATE_FIELD], fields[_BEGAN_FIELD]


def _answers(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's, but it runs
        return True
    return True
