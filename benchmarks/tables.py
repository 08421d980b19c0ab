"""How the speed benchmarks write down what they measured."""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path


def spread(values: Sequence[float], digits: int) -> str:
    """Median and range."""
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def circumstances(rounds: int) -> str:
    """What stands above a table: date, machine, versions, n."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    libraries = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", "ray", "optuna")
    )
    date = time.strftime("%Y-%m-%d")
    return f"{date}, {os.cpu_count()} cores of {cpu}, {libraries}, n = {rounds} rounds"
