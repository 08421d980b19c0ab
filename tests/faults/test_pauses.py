"""A driver that is stopped for a while, and machines that leave a cluster."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from nas_space.cli import USAGE_ERROR
from studies.records.store import Store
from studies.records.tables import Evaluation, Status
from tests.faults import invariants
from tests.faults.searching import QUICK, Search
from tests.faults.test_searches import wait_for_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="stops processes as Linux does"),
]
LONGER = [*QUICK, "--epochs", "30", "--rungs", "30"]
"""Trials of some seconds."""


def evaluations(search: Search) -> list[Evaluation]:
    with closing(Store(search.url)) as store:
        return store.evaluations(store.study(None))


def test_a_driver_that_was_stopped_ends_no_trial_for_the_time_that_it_did_not_see(
    tmp_path: Path,
) -> None:
    options = [*LONGER, "--trial-timeout", "30"]
    search = Search(tmp_path, f"sqlite:///{tmp_path / 'study.db'}", 6, options)
    search.start()
    wait_for_rows(search, 2)
    search.send(signal.SIGSTOP)
    time.sleep(45)
    search.send(signal.SIGCONT)
    assert search.wait() == 0, search.said
    assert "tried again" not in search.said
    assert [row.error for row in evaluations(search)] == [None] * 6


OTHER_MACHINE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""In a space of process numbers of its own, as on another machine: its silence alone is known."""


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("before", [(), OTHER_MACHINE], ids=["here", "elsewhere"])
def test_of_two_drivers_one_is_stopped_wakes_up_and_nothing_is_lost_or_done_twice(
    tmp_path: Path, before: Sequence[str]
) -> None:
    if before and subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("may not make a space of process numbers here")
    url, budget = f"sqlite:///{tmp_path / 'study.db'}", 12
    drivers = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        options = [*LONGER, "--concurrency", "1"]
        drivers.append(Search(tmp_path / name, url, budget, options))
    first, second = drivers
    first.before = before
    try:
        first.start()
        wait_for_rows(first, 1, 600)
        second.start()
        wait_for_rows(second, 2, 600)
        until_shared(second)
        with first.stopped(all_of_it=True):
            stopped = len(invariants.rows(url))
            time.sleep(90)  # silent for longer than a driver elsewhere may be
            assert len(invariants.rows(url)) > stopped, "the other goes on"
            # A process here that is stopped may go on; one elsewhere that is silent counts as dead.
            assert second.running or before, "it waits for what the first trains"
        assert first.wait(900) == 0, first.said
        assert second.wait(900) == 0, second.said
    finally:
        for driver in drivers:
            if driver.running:
                driver.kill()
    invariants.check(url, tmp_path, budget)
    assert {row.status for row in evaluations(first)} == {Status.FINISHED}


def until_shared(search: Search) -> None:
    """Wait until a search has begun its own trials."""
    latest = time.monotonic() + 600
    while not search.trains():
        assert search.running, search.said
        assert time.monotonic() < latest, search.said
        time.sleep(0.2)


def test_a_trial_too_large_for_every_machine_is_refused_though_the_cluster_is_large_enough(
    tmp_path: Path,
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        options = [*QUICK, "--address", cluster.address, "--cpus-per-trial", "2"]
        search = Search(tmp_path, f"sqlite:///{tmp_path / 'study.db'}", 2, options)
        search.start()
        assert search.wait() == USAGE_ERROR, search.said
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
    assert "error: a trial wants 2 CPUs but no machine has more than 1" in search.said


def test_a_search_whose_last_fitting_machine_has_left_says_so_ends_and_goes_on_later(
    tmp_path: Path,
) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    options = [*LONGER, "--address", cluster.address]
    search = Search(tmp_path, f"sqlite:///{tmp_path / 'study.db'}", 2, options)
    try:
        node = cluster.add_node(num_cpus=1)
        search.options = [*options, "--start-timeout", "60"]
        search.start()
        wait_for_rows(search, 1)
        cluster.remove_node(node, allow_graceful=False)
        assert search.wait() == USAGE_ERROR, search.said
        without = "no machine of the cluster has 1 CPUs for a trial"
        assert f"waiting: {without}; the search ends after 60 s of this" in search.said
        assert f"error: {without}, for 60 s: " in search.said
        before = invariants.rows(search.url)
        cluster.add_node(num_cpus=1)
        search.options = options
        search.start()
        assert search.wait() == 0, search.said
    finally:
        if search.running:
            search.kill()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    invariants.check_kept(before, invariants.rows(search.url))
    assert [row.status for row in evaluations(search)] == [Status.FINISHED] * 2
