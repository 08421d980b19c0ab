"""What runs in Ray's workers, and how they begin."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from searchers import worker
from searchers.worker import StartingLine


def test_workers_begin_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float] = []
    line = StartingLine(tmp_path, 3)

    def start(number: int) -> None:
        time.sleep(0.1 * number)
        line.wait(str(number))
        began.append(time.monotonic())

    monkeypatch.setattr(worker, "_LATEST_SECONDS", 30.0)
    threads = [threading.Thread(target=start, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(began) - min(began) < 0.15


def test_a_worker_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LATEST_SECONDS", 0.1)
    start = time.monotonic()
    StartingLine(tmp_path, 2).wait("alone")
    assert 0.1 <= time.monotonic() - start < 5


def test_the_driver_of_a_search_needs_no_torch() -> None:
    # Importing it takes seconds, while which the first trial could have begun.
    code = "import sys, searchers.command, searchers.session; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_reading_a_command_line_needs_neither_ray_nor_optuna_nor_a_database() -> None:
    code = (
        "import sys, searchers.command\n"
        "assert not {'ray', 'optuna', 'sqlalchemy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
