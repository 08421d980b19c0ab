"""Latencies: of the network as it is used, and of nothing else."""

import time

from trainers.latency import in_turns


def test_what_is_timed_in_turns_has_a_time_of_its_own() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("slow")
        time.sleep(0.004)

    first, second = in_turns([slow, lambda: order.append("fast")], 3)
    assert first.median >= 0.004 > second.median
    assert (first.batch, first.runs) == (3, second.runs)
    assert order[-2 * first.runs :] == ["slow", "fast"] * first.runs
