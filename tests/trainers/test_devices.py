"""Threads of a CPU."""

from collections.abc import Iterator

import pytest
import torch

from trainers.devices import spare_threads


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("side", "threads"), [(8, 1), (15, 1), (16, 2), (224, 2)])
def test_tiny_images_are_computed_on_one_thread(side: int, threads: int) -> None:
    torch.set_num_threads(2)
    spare_threads(side)
    assert torch.get_num_threads() == threads
