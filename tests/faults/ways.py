"""A search whose first trials die in every way that a trial may; the others finish.

A trial that is tried once more dies in the same way again, but for one.

`python -m tests.faults.ways FOLDER` runs it on FOLDER/ways.db.
"""

import ctypes
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchers.setup import SearchSetup
from trainers.data.splits import SearchData
from trainers.recipes import Recipe

if TYPE_CHECKING:
    # Ray must not be imported before the cluster has told it to be silent.
    from searchers.ray.worker import Evaluate

BUDGET = 4
TIMEOUT = 15

Config = Mapping[str, Any]


def raise_an_error(_: Config) -> None:
    """As a bug of a network would."""
    raise IndexError("index 3 is out of bounds")


def diverge(config: Config, data: SearchData, recipe: Recipe) -> dict[str, Any]:
    """A real training whose loss becomes infinite."""
    from searchers.ray.evaluator import Evaluator  # noqa: PLC0415 - torch is the worker's

    return Evaluator(data, dataclasses.replace(recipe, peak_lr=1e30), 1)(config)


def want_too_much_memory(_: Config) -> None:
    """More than any machine has."""
    bytearray(2**62)


def exit_at_once(_: Config) -> None:
    """As a crash in C code would end the process."""
    os._exit(3)


def be_killed(_: Config) -> None:
    """As the kernel kills a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_for_ever(_: Config) -> None:
    """A deadlock."""
    time.sleep(1e6)


def keep_the_interpreter(_: Config) -> None:
    """A call into C that never returns and lets no other thread run."""
    ctypes.PyDLL(None).sleep(10**6)


def stop(_: Config) -> None:
    """A process that the kernel does not run any more."""
    os.kill(os.getpid(), signal.SIGSTOP)


def have_too_little_memory(_: Config) -> None:
    """As on a machine whose memory is full: the kernel kills the process."""
    group = MEMORY_GROUPS / f"convnas-{os.getpid()}"
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(64 * 2**20))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    bytearray(b"x" * 2**30)


MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
"""Where root may limit the memory of a process, on machines with control groups as of old."""
_ONCE = "dies once"
"""What is expected of a trial that is tried once more, and finishes."""


def die_of_the_moment(_: Config) -> None:
    """What another process that takes all memory does to a good architecture; see `Dying`."""
    os.kill(os.getpid(), signal.SIGKILL)


WAYS: tuple[tuple[Callable[..., Any], str], ...] = (
    (raise_an_error, "IndexError: index 3 is out of bounds"),
    (sleep_for_ever, f"TimeLimit: no result after {TIMEOUT} s"),
    (diverge, "TrainingDivergedError: the loss became"),
    (want_too_much_memory, "MemoryError"),
    (exit_at_once, "WorkerDied: "),
    (keep_the_interpreter, f"TimeLimit: no result after {TIMEOUT} s"),
    (be_killed, "WorkerDied: "),
    (stop, f"TimeLimit: no result after {TIMEOUT} s"),
    (die_of_the_moment, _ONCE),
    *[
        (have_too_little_memory, "WorkerDied: memory ran out, and the kernel killed it; run fewer")
        for _ in range(os.access(MEMORY_GROUPS / "cgroup.procs", os.W_OK))
    ],
)
"""Each way to die, and how the reason in its row begins."""
REASONS = sorted(beginning for _, beginning in WAYS if beginning != _ONCE)
"""How the reasons in the failed rows begin."""


@dataclass(frozen=True)
class Dying:
    """A job of which each of the first trials dies in its own way.

    Attributes:
        folder: in which the trials of all workers are counted.
        data: what a trial that does not die at once trains on.
        recipe: likewise.
    """

    folder: Path
    data: SearchData
    recipe: Recipe

    def start(self) -> "Evaluate":
        """The real evaluator, but for what it evaluates."""
        from searchers.ray.evaluator import Evaluator  # noqa: PLC0415 - torch is the worker's

        class Dying(Evaluator):
            def _evaluate(self, config: "Config") -> "dict[str, Any]":
                return outcome(config)

        outcome = self._outcome
        return Dying(self.data, self.recipe, 1)

    def _outcome(self, config: Config) -> dict[str, Any]:
        number, again = self._number(config["architecture"])
        way, expected = WAYS[number] if number < len(WAYS) else (None, "")
        if way is not None and not (again and expected == _ONCE):
            extra = (self.data, self.recipe) if way is diverge else ()
            outcome: dict[str, Any] = way(config, *extra)
            return outcome
        return {"val_accuracy": 0.5, "train_loss": 0.0, "seconds": 0.1, "start": 0, "weights": b""}

    def _number(self, architecture: str) -> tuple[int, bool]:
        """Which architecture of the search this is, and whether it was there before."""
        number = 0
        while True:
            path = self.folder / f"trial-{number}"
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(architecture)
            except FileExistsError:
                if path.read_text(encoding="utf-8") == architecture:
                    return number, True
                number += 1
            else:
                return number, False


def main(folder: Path) -> None:
    """Run the search."""
    from searchers.limits import Limits  # noqa: PLC0415
    from searchers.ray.cluster import Cluster  # noqa: PLC0415 - this module travels to the workers
    from searchers.settings import Settings  # noqa: PLC0415
    from searchers.setup import set_up  # noqa: PLC0415

    settings = Settings(
        space="mixed",
        budget=BUDGET,
        subset=300,
        epochs=1,
        limits=Limits(macs=1_000_000),
        storage=f"sqlite:///{folder / 'ways.db'}",
        trial_timeout=TIMEOUT,
    )
    setup = set_up(settings)

    def job(setup: SearchSetup, _: object) -> Dying:
        return Dying(folder, setup.dataset.search, setup.recipe)

    with Cluster(settings.cluster, verbose=False) as cluster:
        from searchers.search import search  # noqa: PLC0415

        def ignore(_: object) -> None:
            """Nobody looks."""

        finding = search(settings, setup, cluster, ignore, ignore, ignore, job)
    for group in MEMORY_GROUPS.glob("convnas-*"):
        group.rmdir()
    print(finding.over_because)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
