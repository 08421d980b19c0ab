"""A search whose workers fail to set up, or take for ever.

`python -m tests.faults.starts FOLDER WAY` runs it on FOLDER/starts.db.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchers.setup import SearchSetup

if TYPE_CHECKING:
    # Ray must not be imported before the cluster has told it to be silent.
    from searchers.ray.worker import Evaluate

BUDGET = 3
CONCURRENCY = 4
TIMEOUT = 40
CUDA_ERROR = """CUDA error: no kernel image is available for execution on the device
CUDA kernel errors might be asynchronously reported at some other API call.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
"""


def fail(_: Path) -> None:
    """As torch does on a GPU that it was not built for."""
    raise RuntimeError(CUDA_ERROR)


def exit_at_once(_: Path) -> None:
    """As a crash of a driver would end the process."""
    os._exit(3)


def _first(folder: Path) -> bool:
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def hang_once(folder: Path) -> None:
    """One machine has a stuck mount, the others are well."""
    if _first(folder):
        time.sleep(1e6)


def keep_the_interpreter_once(folder: Path) -> None:
    """A device that does not start, in a call into C that lets no other thread run."""
    if _first(folder):
        ctypes.PyDLL(None).sleep(10**6)


WAYS: dict[str, Callable[[Path], None]] = {
    way.__name__: way for way in (fail, exit_at_once, hang_once, keep_the_interpreter_once)
}


@dataclass(frozen=True)
class Starting:
    """A job whose set-up does something bad.

    Attributes:
        folder: that all workers see.
        way: what happens.
    """

    folder: Path
    way: str

    def start(self) -> "Evaluate":
        """Set up; if that ends, trials are quick."""
        WAYS[self.way](self.folder)

        def evaluate(_: Mapping[str, Any]) -> dict[str, Any]:
            return {
                "val_accuracy": 0.5,
                "train_loss": 0.0,
                "seconds": 0.1,
                "start": 0,
                "weights": b"",
                "device": "cpu",
            }

        return evaluate


def main(folder: Path, way: str) -> None:
    """Run the search; print what it says, and why it ended."""
    from searchers.limits import Limits  # noqa: PLC0415
    from searchers.ray.cluster import Cluster  # noqa: PLC0415 - this module travels to the workers
    from searchers.settings import ClusterOptions, Settings  # noqa: PLC0415
    from searchers.setup import set_up  # noqa: PLC0415

    settings = Settings(
        space="mixed",
        budget=BUDGET,
        subset=300,
        epochs=1,
        limits=Limits(macs=1_000_000),
        storage=f"sqlite:///{folder / 'starts.db'}",
        cluster=ClusterOptions(concurrency=CONCURRENCY),
        start_timeout=TIMEOUT,
    )
    setup = set_up(settings)

    def job(_setup: SearchSetup, _resources: object) -> Starting:
        return Starting(folder, way)

    with Cluster(settings.cluster, verbose=False) as cluster:
        from searchers.search import search  # noqa: PLC0415

        def ignore(_: object) -> None:
            """Nobody looks."""

        finding = search(settings, setup, cluster, ignore, ignore, print, job)
    print(f"{finding.end.retried} tried again")  # noqa: T201
    print(f"ended because {finding.over_because}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
