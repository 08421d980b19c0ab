"""What runs in Ray's workers, and how they begin."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from searchers.ray import worker
from searchers.ray.worker import StartingLine


def test_no_worker_is_through_before_all_have_begun(tmp_path: Path) -> None:
    line, through = StartingLine(tmp_path, 3), list[float]()
    came = 0.0

    def work(number: int) -> None:
        line.come(str(number))
        line.wait(str(number))
        through.append(time.monotonic())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        time.sleep(0.1)
        came = time.monotonic()
        thread.start()
    for thread in threads:
        thread.join()
    assert min(through) >= came
    assert all(line.keeps(str(number)) for number in range(3))
    assert not line.keeps("another")


def test_a_worker_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LATEST_SECONDS", 0.1)
    line, start = StartingLine(tmp_path, 2), time.monotonic()
    line.come("alone")
    line.wait("alone")
    assert 0.1 <= time.monotonic() - start < 5


def test_the_driver_of_a_search_needs_no_torch() -> None:
    # Importing it takes seconds, while which the first trial could have begun.
    imported = "searchers.terminal.command, searchers.terminal.session"
    code = f"import sys, {imported}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_reading_a_command_line_needs_neither_ray_nor_optuna_nor_a_database() -> None:
    code = (
        "import sys, searchers.terminal.command\n"
        "assert not {'ray', 'optuna', 'sqlalchemy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
