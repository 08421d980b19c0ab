"""Real searches that are killed, or whose database or machine goes away."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from studies.records.store import Store
from studies.records.tables import Status
from tests.faults import invariants
from tests.faults.searching import QUICK, RUNGS, Search
from tests.servers import Postgres
from tests.small_disk import small_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes found in /proc"),
]


def wait_for_rows(search: Search, count: int, seconds: float = 120.0) -> None:
    latest = time.monotonic() + seconds
    while len(invariants.rows(search.url)) < count:
        assert search.running, search.said
        assert time.monotonic() < latest, search.said
        time.sleep(0.2)


def paid(rows: Sequence[invariants.Row]) -> int:
    """Full trainings of three epochs that rows have cost, rounded up."""
    return -(-sum(row.trained for row in rows if row.accuracy is not None) // 3)


def test_a_search_outlives_its_database_a_worker_and_its_own_driver(tmp_path: Path) -> None:
    with Postgres() as server:
        search = Search(tmp_path, server.url, budget=500, options=RUNGS)
        search.start()
        wait_for_rows(search, 2)
        server.stop(signal.SIGKILL)
        time.sleep(8)
        assert search.running, search.said
        server.start()
        wait_for_rows(search, 5)
        assert "waiting for the database" in search.said
        assert "secret" not in search.said
        search.workers()[0].kill()
        wait_for_rows(search, 7)
        search.kill()
        before = invariants.rows(search.url)
        with closing(Store(search.url)) as store:
            assert invariants.claims(store), "something was being trained"
        search.budget = paid(before) + 3
        search.start()
        assert search.wait() == 0, search.said
        assert "that were cut off begin anew" in search.said
        invariants.check_kept(before, invariants.rows(search.url))
        invariants.check(search.url, search.folder, search.budget)


def test_of_two_drivers_on_one_study_one_is_killed_and_the_other_reaches_the_budget(
    tmp_path: Path,
) -> None:
    url, budget = f"sqlite:///{tmp_path / 'study.db'}", 9
    drivers = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        drivers.append(Search(tmp_path / name, url, budget))
        drivers[-1].start()
    first, second = drivers
    try:
        wait_for_rows(first, 3)
        first.kill()
        assert second.wait() == 0, second.said
    finally:
        for driver in drivers:
            if driver.running:
                driver.kill()
    invariants.check(url, tmp_path, budget)


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "16m") as disk:
        search = Search(tmp_path, f"sqlite:///{disk / 'study.db'}", budget=12)
        search.start()
        wait_for_rows(search, 2)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        latest = time.monotonic() + 120
        while "waiting for the database" not in search.said:
            assert search.running, search.said
            assert time.monotonic() < latest, search.said
            time.sleep(0.2)
        assert "disk is full" in search.said
        (disk / "filler").unlink()
        assert search.wait() == 0, search.said
        invariants.check(search.url, search.folder, search.budget)


def test_a_node_that_is_lost_costs_the_trials_on_it(tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        options = [*QUICK, "--address", cluster.address, "--epochs", "20", "--rungs", "20"]
        search = Search(tmp_path, f"sqlite:///{tmp_path / 'study.db'}", 4, options)
        search.start()
        wait_for_rows(search, 2)
        cluster.remove_node(node, allow_graceful=False)
        assert search.wait() == 0, search.said
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
    with closing(Store(search.url)) as store:
        found = store.evaluations(store.study(None))
    failed = [row for row in found if row.status is Status.FAILED]
    assert len(found) - len(failed) == 4
    assert len(failed) <= 1
    assert all((row.error or "").startswith("WorkerDied: ") for row in failed)


@contextlib.contextmanager
def failing_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """A new folder on a disk of its own, and what makes the kernel take it for broken."""
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    make = ["mkfs.ext4", "-q", "-F", str(image)]
    options = ["-o", "loop,errors=remount-ro"]
    mount = ["/bin/mount", *options, str(image), str(folder)]
    for command in (make, mount):
        if shutil.which(command[0]) is None or subprocess.run(command, check=False).returncode:
            pytest.skip("may not make a disk here")
    try:
        number = folder.stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        trigger = Path("/sys/fs/ext4", device, "trigger_fs_error")

        def fail() -> None:
            trigger.write_text("a test")

        yield fail
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


@pytest.mark.timeout(900)
def test_on_a_disk_that_becomes_read_only_the_search_ends_and_the_last_results_go_into_files(
    tmp_path: Path,
) -> None:
    with failing_disk(tmp_path / "disk") as fail:
        search = Search(tmp_path, f"sqlite:///{tmp_path / 'disk' / 'study.db'}", budget=500)
        search.start()
        try:
            wait_for_rows(search, 3, 600)
            fail()
            before = invariants.rows(search.url)
            assert search.wait(600) == 2, search.said
        finally:
            if search.running:
                search.kill()
        # SQLite says either that it cannot write, or first a passing error, which is waited for.
        (last,) = [line for line in search.said.splitlines() if line.startswith("error: ")]
        assert "until the same command continues" in last
        after = invariants.kept(search.url, search.folder)
        invariants.check_kept(before, after)
        assert len(after) > len(before), "the trials that ran wait in files"
