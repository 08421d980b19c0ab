"""Times of functions, taken so that other load of the machine changes their order least."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MEASURING_SECONDS = 0.5
_WARM_UP_SHARE = 0.4
"""Time of the warm-up, as a share of the time of measuring."""
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


def in_turns(
    calls: Sequence[Callable[[], object]], batch: int = 1, seconds: float = _MEASURING_SECONDS
) -> list[Latency]:
    """Time functions in turns, so that other load of the machine meets all of them.

    Args:
        calls: each answers for a batch.
        batch: images of that batch.
        seconds: to measure each, if that takes no more than the most runs.
    """
    for call in calls:
        _times(call, _WARM_UP_SHARE * seconds)
    times: list[list[float]] = [[] for _ in calls]
    while len(times[0]) < _FEWEST_RUNS or (
        sum(map(sum, times)) < len(calls) * seconds and len(times[0]) < _MOST_RUNS
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
