"""Latencies: of the network as it is used, and of nothing else."""

import time

import torch
from torch import Tensor, nn

from trainers.latency import hardware, in_turns, measure


class Slow(nn.Module):
    """Takes two milliseconds an image, and looks at how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[tuple[int, ...], bool, bool]] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add((tuple(x.shape), self.training, torch.is_grad_enabled()))
        time.sleep(0.002 * len(x))
        return x


def test_it_is_the_median_time_of_a_batch_in_eval_mode() -> None:
    module = Slow().train()
    single, many = measure(module, (3, 4, 5), 1), measure(module, (3, 4, 5), 8)
    assert 0.002 <= single.quartiles[0] <= single.median <= single.quartiles[1]
    assert many.median >= 0.016
    assert single.runs >= 5
    assert module.seen == {((1, 3, 4, 5), False, False), ((8, 3, 4, 5), False, False)}
    assert module.training


def test_what_is_timed_in_turns_has_a_time_of_its_own() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("slow")
        time.sleep(0.004)

    first, second = in_turns([slow, lambda: order.append("fast")], 3)
    assert first.median >= 0.004 > second.median
    assert (first.batch, first.runs) == (3, second.runs)
    assert order[-2 * first.runs :] == ["slow", "fast"] * first.runs


def test_the_hardware_is_named() -> None:
    assert f"torch {torch.__version__}" in hardware()
    assert "cores of" in hardware()
