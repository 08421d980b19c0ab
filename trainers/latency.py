"""How long a network takes to answer on this machine's CPU."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from trainers.machine import processor

_WARM_UP_SECONDS = 0.2
_MEASURING_SECONDS = 0.5
_FEWEST_RUNS, _MOST_RUNS = 5, 200
"""Fewest and most runs to time."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall times of a batch, in seconds.

    Attributes:
        batch: images at a time.
        median: of all runs.
        quartiles: a quarter of the runs took less than the first, a quarter more than the second.
        runs: how many were timed.
    """

    batch: int
    median: float
    quartiles: tuple[float, float]
    runs: int


def measure(module: nn.Module, shape: tuple[int, int, int], batch: int) -> Latency:
    """Time a module in eval mode, in fp32 on the CPU, with as many threads as torch has now.

    Args:
        module: maps (N, C, H, W) to logits; stays as it is.
        shape: channels, height and width of an image.
        batch: images at a time.
    """
    images = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0))
    training = module.training
    module.eval()
    with torch.inference_mode():
        _times(lambda: module(images), _WARM_UP_SECONDS)
        times = _times(lambda: module(images), _MEASURING_SECONDS)
    module.train(training)
    return _latency(batch, times)


def in_turns(calls: Sequence[Callable[[], object]], batch: int = 1) -> list[Latency]:
    """Time functions in turns, so that other load of the machine meets all of them.

    Args:
        calls: each answers for a batch.
        batch: images of that batch.
    """
    for call in calls:
        _times(call, _WARM_UP_SECONDS)
    times: list[list[float]] = [[] for _ in calls]
    while len(times[0]) < _FEWEST_RUNS or (
        sum(map(sum, times)) < len(calls) * _MEASURING_SECONDS and len(times[0]) < _MOST_RUNS
    ):
        for call, its_times in zip(calls, times, strict=True):
            its_times.append(_time(call))
    return [_latency(batch, its_times) for its_times in times]


def _latency(batch: int, times: list[float]) -> Latency:
    low, median, high = statistics.quantiles(times, n=4)
    return Latency(batch, median, (low, high), len(times))


def _times(call: Callable[[], object], seconds: float) -> list[float]:
    times: list[float] = []
    while len(times) < _FEWEST_RUNS or (sum(times) < seconds and len(times) < _MOST_RUNS):
        times.append(_time(call))
    return times


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def hardware() -> str:
    """What a latency was measured on: threads, cores, the CPU's model, torch's version."""
    threads = torch.get_num_threads()
    return (
        f"{threads} thread{'s' * (threads > 1)}, {os.cpu_count()} cores of {processor()}, "
        f"torch {torch.__version__}"
    )
