"""Processes side by side: what one of them does to itself it does to its own task alone."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from studies.retraining.process_pool import Lost, side_by_side
from tests.studies.retraining import pool_tasks

ROOT = Path(__file__).parents[3]


def test_a_process_that_dies_takes_its_own_task_with_it_and_no_other() -> None:
    with closing(side_by_side(pool_tasks.start, range(8), 2)) as results:
        found = dict(results)
    assert {task: found[task] for task in (0, 1, 2, 6, 7)} == {0: 0, 1: 1, 2: 4, 6: 36, 7: 49}
    reasons = [lost.reason for task in (3, 4, 5) if isinstance(lost := found[task], Lost)]
    assert reasons == [
        "the process of the training was ended by SIGKILL: out of memory?",
        "the process of the training ended with code 7",
        "RuntimeError: the device is broken",
    ]


def test_a_process_that_cannot_start_is_a_reason() -> None:
    assert dict(side_by_side(pool_tasks.refuse, [1], 3)) == {1: Lost("MemoryError: no room")}


def test_no_tasks_start_no_process() -> None:
    assert list(side_by_side(pool_tasks.start, [], 2)) == []


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from studies.retraining.process_pool import side_by_side\n"
        "from tests.studies.retraining import pool_tasks\n"
        "list(side_by_side(pool_tasks.sleep, [sys.argv[1]], 1))\n"
    )
    path = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        while not (path.is_file() and path.read_text()):
            time.sleep(0.02)
        worker = psutil.Process(int(path.read_text()))
        process.kill()
    try:
        worker.wait(timeout=10)
    except psutil.TimeoutExpired:
        worker.kill()
        pytest.fail("it trains on, for nobody")
