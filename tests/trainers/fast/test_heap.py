"""A training keeps the memory of its tensors, and gives it back when it ends."""

import json
import resource
import subprocess
import sys

import pytest

from trainers.fast.heap import kept_heap

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")

MEGABYTES = 48
"""More than glibc ever keeps by itself."""
PAGES = MEGABYTES * 2**20 // resource.getpagesize()
SCRIPT = f"""
import json, resource
from pathlib import Path
import torch
from trainers.fast.heap import kept_heap

def touch(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.ones({MEGABYTES} * 2**18, dtype=torch.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

found = {{"before": touch(4), "resident before": resident()}}
with kept_heap():
    touch(10)
    found |= {{"inside": touch(20), "resident inside": resident()}}
found |= {{"resident after": resident()}}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    """Page faults and resident pages of a process that fills and frees tensors one by one."""
    # Of its own: in a process that has done other things there is free memory to be had. The first
    # few tensors find their places, as glibc looks for more room than an aligned one needs.
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    numbers: dict[str, int] = json.loads(done.stdout)
    return numbers


def test_a_tensor_takes_the_place_of_one_that_was_freed(found: dict[str, int]) -> None:
    assert found["before"] > 3 * PAGES, "what it is for"
    assert found["inside"] < 2 * PAGES


def test_at_the_end_memory_goes_back_to_the_system(found: dict[str, int]) -> None:
    assert found["resident inside"] > found["resident before"] + PAGES // 2
    assert found["resident after"] < found["resident before"] + PAGES // 2


def test_an_error_goes_through() -> None:
    with pytest.raises(RuntimeError), kept_heap():
        raise RuntimeError
