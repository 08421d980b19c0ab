"""This machine, without torch: its processor, and what of it is left for this process.

Linux tells in files what a container may use. On other systems free memory is not known.
"""

import importlib.metadata
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def processor() -> str:
    """The model of the CPU, if the system tells it."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(named, f":{model}").partition(":")[2].strip()
    return model


def multiplies_int8() -> bool | None:
    """Whether an x86 CPU has VNNI or AMX, which make int8 fast; None if unknown."""
    lines = _text(_PROC / "cpuinfo").splitlines()
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    return None if flags is None else not flags.isdisjoint({"avx512_vnni", "avx_vnni", "amx_int8"})


def versions(*libraries: str) -> dict[str, str]:
    """Versions of Python and of the libraries that a number may depend on."""
    return {"python": platform.python_version()} | {
        library: importlib.metadata.version(library) for library in libraries
    }


def cores() -> int:
    """CPU cores that this process may use: of the machine, of its affinity, of its container."""
    # Only Linux tells which cores a process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    ours = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quotas = (quota for group in _groups("cpu") if (quota := _quota(group)) is not None)
    return min(ours, math.ceil(min(quotas, default=ours)))


def free_memory() -> int | None:
    """Bytes of memory that this process may still take; None if the system does not tell.

    What the system keeps of files counts as free, because it gives that away.
    """
    known = _numbers(_PROC / "meminfo").get("MemAvailable:")
    if known is None:
        return None
    left = (room for group in _groups("memory") if (room := _left(group)) is not None)
    return max(0, min((known * 1024, *left)))


def _groups(controller: str) -> Iterator[Path]:
    """The control groups of this process and those around them, of versions 1 and 2."""
    memberships = _text(_PROC / "self/cgroup").splitlines()
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _GROUPS / controllers if controllers else _GROUPS
        # In a container the path may be the one outside, and the root is its own group.
        inner = root / path.lstrip("/")
        yield from (group for group in (inner, *inner.parents) if group.is_relative_to(root))


def _left(group: Path) -> int | None:
    """Bytes below the memory limit of a group; None if it has none."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limit, usage = _number(group / most), _number(group / used)
        if limit is not None and usage is not None:
            files = _numbers(group / "memory.stat")
            return limit - usage + files.get("total_inactive_file", files.get("inactive_file", 0))
    return None


def _quota(group: Path) -> float | None:
    """How many cores a group may use; None if it has no limit."""
    quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        return int(quota) / int(period)
    share, whole = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return share / whole if share and share > 0 and whole else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split()[:2] for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
