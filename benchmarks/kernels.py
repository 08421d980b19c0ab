"""What each kernel of the fast pass saves: training steps with all of them, and with one left out.

    uv run python -m benchmarks.kernels
    uv run python -m benchmarks.kernels --spaces mixed xception --sizes 8 --rounds 7

Random networks of each space, and ResNet-20 on 32×32, take steps (forward, loss, backward, descent)
on one core, with and without a kernel in turns. What a kernel leaves goes to the next best by the
table. A row is the time without it, as a multiple of the time with all.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import nn

from benchmarks.tables import circumstances
from benchmarks.trainer import NETWORKS
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get, spaces
from trainers import devices
from trainers.data.batches import cross_entropy
from trainers.descent import Descent
from trainers.fast import algorithms, chains, for_training, kernels
from trainers.fast.heap import kept_heap
from trainers.fast.kernels import calling
from trainers.recipes import RECIPES

KERNELS = ("direct", "winograd", "depthwise", "grouped", "mixing", "octave", "norm")
_BATCH = {8: 64, 32: 128}
"""Images a step, by their side: as the recipes have it for the digits and for larger sets."""
Step = Callable[[], float]


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Kernels as they are where these cannot be had."""
    own = kernels.library

    def library(name: str) -> object:
        return None if name in names else own(name)

    with mock.patch.object(calling, "library", library):
        _forget()
        yield
    _forget()


def _forget() -> None:
    """Choose anew among the kernels there are."""
    calling.found.cache_clear()
    algorithms.fastest.cache_clear()
    chains._fastest.cache_clear()  # noqa: SLF001 - what a benchmark has to undo


def step_of(network: nn.Module, size: int, channels: int) -> Step:
    """A training step as the trainer takes it; gives its seconds."""
    network.to(memory_format=torch.channels_last).train()
    device, recipe = devices.best(size), RECIPES.get("quick")
    optimizer = Descent(
        network.parameters(), momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    batch = _BATCH[size]
    images = torch.randn(batch, channels, size, size)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    fast = for_training(network)

    def step() -> float:
        start = time.perf_counter()
        with device.autocast():
            logits = fast(images)
        loss = cross_entropy(logits, labels, 0.0)
        optimizer.clear()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return time.perf_counter() - start

    return step


def ratios(architecture: Architecture, size: int, rounds: int) -> dict[str, float]:
    """The time of a step without each kernel, as a multiple of the time with all."""
    channels = 1 if size == min(_BATCH) else 3
    took: dict[str, list[float]] = {name: [] for name in ("", *KERNELS)}
    for _ in range(rounds):
        for name, times in took.items():
            with without(*[name] * bool(name)):
                # Made where the kernel is missing: the pass looks for it.
                step = step_of(build(architecture, channels, 10), size, channels)
                step()
                times.append(min(step() for _ in range(3)))
    return {
        name: statistics.median(a / b for a, b in zip(took[name], took[""], strict=True))
        for name in KERNELS
    }


def main() -> None:
    """Measure, and print a row for each space and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--spaces", nargs="+", default=[*spaces(), "ResNet-20"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 32], choices=list(_BATCH))
    parser.add_argument("--core", type=int, default=0)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    print(circumstances(given.rounds) + "\n")
    print(f"| networks | n | {' | '.join(KERNELS)} |")
    print("| --- " * (len(KERNELS) + 2) + "|", flush=True)
    with kept_heap():
        for size in given.sizes:
            for name in given.spaces:
                found = [ratios(one, size, given.rounds) for one in _some(name, given.networks)]
                means = (statistics.fmean(each[kernel] for each in found) for kernel in KERNELS)
                cells = " | ".join(f"{mean:.2f}" for mean in means)
                print(f"| {name}, {size}×{size} | {len(found)} | {cells} |", flush=True)


def _some(name: str, count: int) -> list[Architecture]:
    """Random networks of a space, or the named one."""
    if name in NETWORKS:
        return [NETWORKS[name]]
    space, chance = get(name), random.Random(0)
    return [
        space.decode({p.name: chance.choice(p.labels) for p in space.parameters})
        for _ in range(count)
    ]


if __name__ == "__main__":
    main()
