"""How much memory and how many cores are left, on machines and in containers."""

import os
from pathlib import Path

import pytest

from trainers import machine

MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1000 kB\nMemAvailable: 8000000 kB\nCached: 9 kB\n"


def system(
    folder: Path, monkeypatch: pytest.MonkeyPatch, memberships: str, files: dict[str, str]
) -> None:
    """A system whose files say this."""
    told = {"proc/meminfo": MEMINFO, "proc/self/cgroup": memberships}
    for name, text in (told | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(machine, "_PROC", folder / "proc")
    monkeypatch.setattr(machine, "_GROUPS", folder / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("told", "fast"),
    [
        ("flags\t\t: fpu avx2\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512_vnni avx2\n", True),
        ("flags: amx_int8\n", True),
        ("Features\t: fp asimd\n", None),
    ],
)
def test_a_cpu_that_multiplies_int8_is_known_by_its_flags(
    told: str, fast: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(tmp_path, monkeypatch, "", {"proc/cpuinfo": told})
    assert machine.multiplies_int8() is fast


@pytest.mark.parametrize(
    ("memberships", "files", "memory", "cores"),
    [
        ("0::/\n", {}, 8_192_000_000, 8),  # no limits: what is available, not what is free
        (
            "0::/job/step\n",
            {
                "groups/job/step/memory.max": "max\n",
                "groups/job/memory.max": "3000000000\n",
                "groups/job/memory.current": "1000000000\n",
                "groups/job/memory.stat": "anon 5\ninactive_file 400000000\n",
                "groups/job/step/cpu.max": "max 100000\n",
                "groups/job/cpu.max": "250000 100000\n",
            },
            2_400_000_000,  # the group around it has the limit, files are given away
            3,
        ),
        (
            # Version 1, where a container sees the path of the machine and the root of its own.
            "4:memory:/docker/1f\n3:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f\n",
            {
                "groups/memory/memory.limit_in_bytes": "2000000000\n",
                "groups/memory/memory.usage_in_bytes": "500000000\n",
                "groups/memory/memory.stat": "cache 7\ntotal_inactive_file 100000000\n",
                "groups/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "groups/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1_600_000_000,
            1,
        ),
        (
            "4:memory:/\n3:cpu,cpuacct:/\n",
            {
                "groups/memory/memory.limit_in_bytes": "9223372036854771712\n",  # none
                "groups/memory/memory.usage_in_bytes": "500000000\n",
                "groups/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "groups/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            8_192_000_000,
            8,
        ),
        (
            "0::/\n",
            {"groups/memory.max": "1000\n", "groups/memory.current": "2000\n"},
            0,  # over its limit
            8,
        ),
    ],
)
def test_containers_have_limits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memberships: str,
    files: dict[str, str],
    memory: int,
    cores: int,
) -> None:
    system(tmp_path, monkeypatch, memberships, files)
    assert machine.free_memory() == memory
    assert machine.cores() == cores


def test_other_systems_tell_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PROC", tmp_path / "nothing")
    assert machine.free_memory() is None
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.cores() == (os.cpu_count() or 1)


def test_this_machine_tells() -> None:
    found = machine.free_memory()
    assert found is None or 0 < found < 2**50
    assert machine.cores() >= 1
