"""A real search in a process of its own, and what it leaves in its database."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

QUICK = ("--subset", "300", "--epochs", "1", "--max-macs", "1M")
"""Trials of less than a second."""
RUNGS = ("--subset", "300", "--epochs", "3", "--max-macs", "1M")
"""The same with two rungs."""
_GONE_SECONDS = 30.0


@dataclass
class Search:
    """The command of a search, which can be started, hurt and started again.

    Attributes:
        folder: where it runs.
        url: of its database.
        budget: full trainings to pay for.
        options: more of its command line.
        before: words before it, of a program that starts it.
        where: its current folder, if not `folder`.
        environment: more variables.
    """

    folder: Path
    url: str
    budget: int
    options: Sequence[str] = QUICK
    before: Sequence[str] = ()
    where: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _log: Path = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._log = self.folder / "log.txt"

    def start(self) -> None:
        """Start the command."""
        # Processes that `uv run` starts would be started by `uv run` again.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
        command = ["searchers.run", "--space", "mixed", "--budget", str(self.budget)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *self.before,
                    *(sys.executable, "-m", *command, "--storage", self.url, *self.options),
                ],
                cwd=self.where or self.folder,
                env={**environment, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the command has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def said(self) -> str:
        """What it has printed since it was started last."""
        return self._log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send the command a signal; Ray's processes get none."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = 240.0) -> int:
        """The exit code, once the command has ended."""
        assert self.process is not None
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"it does not end: {self.said}") from error

    def workers(self) -> list[psutil.Process]:
        """The processes that train."""
        return [child for child in self._family() if _title(child).startswith("ray::Resource")]

    def trains(self) -> bool:
        """Whether the command is there and has begun its trials; it has its database open then."""
        return self.running and "\nworkers " in self.said

    @contextlib.contextmanager
    def stopped(self, *, all_of_it: bool) -> Iterator[None]:
        """The command gets no time of the processor, nor do Ray's processes, if asked for."""
        assert self.process is not None
        family = self._family() if all_of_it else []
        with contextlib.suppress(psutil.NoSuchProcess):
            family.append(psutil.Process(self.process.pid))
        _each(family, psutil.Process.suspend)
        try:
            yield
        finally:
            _each(family, psutil.Process.resume)

    def kill(self) -> None:
        """End the command with SIGKILL, and see that Ray's processes end as well."""
        family = self._family()
        trainers = self.workers()
        self.send(signal.SIGKILL)
        self.wait()
        _, alive = psutil.wait_procs(trainers, timeout=_GONE_SECONDS)
        assert not alive, "workers train on for nobody"
        # Ray's agents notice only a minute later.
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _family(self) -> list[psutil.Process]:
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def _each(processes: Sequence[psutil.Process], do: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            do(process)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def pause(seconds: float, search: Search) -> None:
    """Wait, but no longer than the search runs."""
    end = time.monotonic() + seconds
    while search.running and time.monotonic() < end:
        time.sleep(0.02)
