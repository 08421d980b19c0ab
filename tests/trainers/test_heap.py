"""A training keeps the memory of its tensors, and gives it back when it ends."""

import resource
import sys
from pathlib import Path

import pytest
import torch

from trainers.heap import kept_heap

MEGABYTES = 48
"""More than glibc ever keeps by itself."""
PAGES = MEGABYTES * 2**20 // resource.getpagesize()
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")


def touch(count: int) -> int:
    """Fill and free tensors one after the other; the faults that it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.ones(MEGABYTES * 2**18, dtype=torch.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_a_tensor_takes_the_place_of_one_that_was_freed() -> None:
    assert touch(4) > 3 * PAGES, "what it is for"
    with kept_heap():
        touch(1)
        assert touch(20) < 2 * PAGES
    assert touch(4) > 3 * PAGES


def test_at_the_end_memory_goes_back_to_the_system() -> None:
    with kept_heap():
        before = resident()
        touch(1)
        assert resident() > before + PAGES // 2
    assert resident() < before + PAGES // 2


def test_it_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError), kept_heap():
        raise RuntimeError
    assert touch(4) > 3 * PAGES
