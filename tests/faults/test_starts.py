"""Workers that fail to set up, or do not start: the search says why, and loses no architecture."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from studies.records.store import Store
from studies.records.tables import Evaluation, Status
from tests.faults import invariants, starts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="hangs as processes on Linux do"),
]


def search(folder: Path, way: str) -> tuple[str, list[Evaluation], list[str]]:
    """What a search says whose workers set up that way, its evaluations and its claims."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.starts", str(folder), way],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with closing(Store(f"sqlite:///{folder / 'starts.db'}")) as store:
        return ran.stdout, store.evaluations(store.study(None)), invariants.claims(store)


def test_five_set_ups_that_fail_are_five_rows_with_the_errors_own_line(tmp_path: Path) -> None:
    said, found, claims = search(tmp_path, "fail")
    reason = f"RuntimeError: {starts.CUDA_ERROR.splitlines()[0]}"
    assert [row.error for row in found] == [reason] * 5
    assert f"ended because 5 trials in a row failed alike, the last with: {reason}" in said
    assert len(claims) <= starts.CONCURRENCY, "what was handed out waits for the next search"


def test_workers_that_die_while_they_set_up_cost_few_architectures(tmp_path: Path) -> None:
    said, found, claims = search(tmp_path, "exit_at_once")
    assert "ended because 5 trials in a row failed alike, the last with: WorkerDied: " in said
    # Five deaths are at most two architectures that died twice; the others are tried later.
    assert len(found) <= 2
    assert claims


@pytest.mark.parametrize("way", ["hang_once", "keep_the_interpreter_once"])
def test_a_worker_that_does_not_start_is_told_and_ended_and_its_trial_done_by_another(
    tmp_path: Path, way: str
) -> None:
    said, found, claims = search(tmp_path, way)
    assert "a worker does not start: " in said
    assert "ended because None" in said
    assert [row.status for row in found] == [Status.FINISHED] * starts.BUDGET
    assert not claims
