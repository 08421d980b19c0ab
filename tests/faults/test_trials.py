"""Trials that die in every way: each is a row with its reason, and costs only itself."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from studies.records.store import Store
from studies.records.tables import Status
from tests.faults.ways import BUDGET, REASONS

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="kills and stops processes as Linux has them")
@pytest.mark.timeout(600)
def test_each_way_to_die_is_a_row_with_its_reason_and_the_search_goes_on(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.faults.ways", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "None"), ran.stdout + ran.stderr
    with closing(Store(f"sqlite:///{tmp_path / 'ways.db'}")) as store:
        found = store.evaluations(store.study(None))
    assert sum(row.status is Status.FINISHED for row in found) == BUDGET
    reasons = sorted(row.error or "" for row in found if row.status is Status.FAILED)
    assert len(reasons) == len(REASONS), reasons
    for reason, beginning in zip(reasons, REASONS, strict=True):
        assert reason.startswith(beginning), reasons
        assert "\n" not in reason
