"""What it brings to choose the ways of operators by the clock, not by rules.

    uv run python -m benchmarks.plans

Networks of the space mixed are trained side by side, step by step in turns, on one thread: one as
the rules have it, one as `--plans measured` has it, with an empty cache to begin with.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from benchmarks.tables import circumstances, spread
from nas_space.network import build
from nas_space.spaces import get
from searchers.plans import Plans
from trainers import devices


def step_of(network: torch.nn.Module, shape: tuple[int, ...]) -> Callable[[], float]:
    """A training step without the optimiser; gives its seconds."""
    network.to(memory_format=torch.channels_last).train()
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    device = devices.best(min(shape[2:]))
    parameters = list(network.parameters())

    def step() -> float:
        start = time.perf_counter()
        with device.autocast():
            loss = network(images).float().logsumexp(dim=1).mean()
        torch.autograd.grad(loss, parameters)
        return time.perf_counter() - start

    return step


def main() -> None:
    """Measure, and print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 32])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(circumstances(given.networks).replace("rounds", "networks") + "\n")
    print("| images | rules : measured, time of a step | to choose, s a network |")
    print("| --- | --- | --- |")
    space, chance = get("mixed"), random.Random(0)
    step_of(build(space.decode({}), 3, 10), (given.batch, 3, 8, 8))()  # compiles kernels
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        for size in given.sizes:
            shape, ratios, costs = (given.batch, 3, size, size), list[float](), list[float]()
            for _ in range(given.networks):
                labels = {p.name: chance.choice(p.labels) for p in space.parameters}
                pair = [build(space.decode(labels), 3, 10) for _ in range(2)]
                start = time.perf_counter()
                Plans().choose(pair[1], shape, devices.best(size))
                costs.append(time.perf_counter() - start)
                steps = [step_of(network, shape) for network in pair]
                rounds = [[step() for step in steps] for _ in range(given.rounds + 1)][1:]
                ratios.append(statistics.median(first / second for first, second in rounds))
            print(f"| {size}×{size} | {spread(ratios, 2)} | {spread(costs, 1)} |", flush=True)


if __name__ == "__main__":
    main()
