"""Processes that do tasks side by side. One that dies loses its own task and no other.

The standard library's pools hang or lose all tasks when a process dies.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from studies.records.reasons import reason_of

T = TypeVar("T")
R = TypeVar("R")

Start = Callable[[], Callable[[T], R]]
"""Called once in a process; returns the function that does a task there. Must be picklable."""

_CONTEXT = multiprocessing.get_context("spawn")
"""Not fork: torch's threads do not survive it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The result of a task whose process died, with the reason in one line."""

    reason: str


def side_by_side(
    start: Start[T, R], tasks: Iterable[T], count: int
) -> Generator[tuple[T, R | Lost]]:
    """Do tasks in several processes; yields each with its result as soon as it is done.

    The processes end with the loop over the results, also after an interrupt. If this process is
    killed they end by themselves.

    Args:
        start: see `Start`. An error in it, or in the function that it returns, ends the process.
        tasks: the next is taken when a process is free.
        count: of processes at a time.
    """
    waiting = iter(tasks)
    # Take the tasks first, so that no process is started without one.
    first = [task for _, task in zip(range(count), waiting, strict=False)]
    pool = [_Worker[T, R]() for _ in first]
    busy: dict[Connection, tuple[_Worker[T, R], T]] = {}
    try:
        for worker, task in zip(pool, first, strict=True):
            # A large message blocks until its process is up. So all are started first, and come up
            # at the same time.
            worker.prepare(start)
            busy[worker.give(task)] = worker, task
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)  # noqa: S101 - they are its keys
                worker, task = busy.pop(connection)
                result = worker.take()
                yield task, result
                for following in waiting:
                    if isinstance(result, Lost):
                        pool.remove(worker)
                        worker = _Worker[T, R]()
                        pool.append(worker)
                        worker.prepare(start)
                    busy[worker.give(following)] = worker, following
                    break
    finally:
        for worker in pool:
            worker.end()


class _Worker(Generic[T, R]):
    """A process and the connection to it."""

    def __init__(self) -> None:
        self._line, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        # Ctrl-C on a terminal reaches all processes. This one ends the others; they inherit that
        # they ignore it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()

    def prepare(self, start: Start[T, R]) -> None:
        self._send(start)

    def give(self, task: T) -> Connection:
        self._send(task)
        return self._line

    def take(self) -> R | Lost:
        """The result of its task; a process that is lost is cleaned up."""
        try:
            result: R | Lost = self._line.recv()
        except (EOFError, OSError):
            self._process.join()
            result = Lost(_reason(self._process.exitcode or 0))
        if isinstance(result, Lost):
            self.end()
        return result

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._line.close()

    def _send(self, message: object) -> None:
        # If the process is gone, `take` says so.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._line.send(message)


def _reason(code: int) -> str:
    if code >= 0:
        return f"the process of the training ended with code {code}"
    name = signal.Signals(-code).name
    hint = ": out of memory?" if name == "SIGKILL" else ""
    return f"the process of the training was ended by {name}{hint}"


def _work(line: Connection) -> None:
    """Do tasks in a process of the pool, until the pool ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do: Callable[[Any], Any] = line.recv()()
        while True:
            line.send(do(line.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the other side is gone
    except Exception as error:  # noqa: BLE001 - any error is sent back as the reason
        line.send(Lost(reason_of(error)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
