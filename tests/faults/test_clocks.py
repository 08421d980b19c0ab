"""A clock that is set while a search runs: nothing waits by it, and nothing is late."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from studies.records.store import Store
from studies.records.tables import Status
from tests.faults import invariants
from tests.faults.searching import QUICK, Search
from tests.faults.test_searches import wait_for_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="starts processes as on Linux"),
]
HOUR = 3600
SHIFTED = """
import os
import time
from pathlib import Path

_real, _by = time.time, Path(os.environ["CLOCK_IS_OFF_BY"])
time.time = lambda: _real() + float(_by.read_text())
time.time_ns = lambda: int(time.time() * 1e9)
"""
"""Python imports it before all else, in Ray's processes too. Monotonic clocks stay, as they do."""


def set_clock(off: Path, seconds: int) -> None:
    """At once: whoever reads it meanwhile finds a number."""
    new = off.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(off)


@pytest.mark.timeout(1200)
def test_a_clock_that_is_set_by_hours_changes_nothing(tmp_path: Path) -> None:
    site, off = tmp_path / "site", tmp_path / "off"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SHIFTED)
    set_clock(off, 0)
    search = Search(
        tmp_path,
        f"sqlite:///{tmp_path / 'study.db'}",
        budget=12,
        options=[*QUICK, "--trial-timeout", "120"],
        environment={
            "PYTHONPATH": f"{site}:{Path(__file__).parents[2]}",
            "CLOCK_IS_OFF_BY": str(off),
        },
    )
    search.start()
    try:
        wait_for_rows(search, 3, 600)
        set_clock(off, 5 * HOUR)
        wait_for_rows(search, 6, 600)
        set_clock(off, -26 * HOUR)
        assert search.wait(600) == 0, search.said
    finally:
        if search.running:
            search.kill()
    assert "tried again" not in search.said
    with closing(Store(search.url)) as store:
        found = store.evaluations(store.study(None))
    assert {row.status for row in found} == {Status.FINISHED}
    assert all(0 < (row.seconds or 0) < HOUR for row in found)
    invariants.check(search.url, search.folder, search.budget)
