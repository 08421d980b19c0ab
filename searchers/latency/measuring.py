"""`python -m searchers.latency.measuring REQUEST ANSWER`: times parts and whole networks here.

It runs as a separate process because it needs torch, and the driver of a search does not import
torch. Both files are JSON. It prints lines with two numbers: what is done, and how much there is.
"""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.convs import parse
from nas_space.errors import ConvnasError
from nas_space.inference import for_inference
from nas_space.inference.layout import in_rows
from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture
from searchers.latency.parts import Part
from studies import runtimes
from trainers.files import write_whole

_PART_PASSES = 2
"""How often all parts are timed, so that one disturbance does not spoil a part."""
_NETWORK_ROUNDS = 9
"""How often each network is measured: their times are compared with each other."""
_RUNS_IN_A_ROW = 4
"""Only the shortest of these counts: other processes disturbed it least."""
_WARM_UP_RUNS = 2
_NETWORKS_AT_ONCE = 5
_AT_ONCE = 60
"""Parts that are prepared together: some runtimes take a second for any number of them."""
_ENOUGH_SECONDS = 0.1
"""A row of runs that takes longer ends early: long runs are disturbed little."""


class _Add(nn.Module):
    """A block's end without its convolution: addition, ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return F.relu(x + x)


class _Head(nn.Module):
    """Global average pool and classifier."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, classes)."""
        y: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return y


def _layer(part: Part) -> nn.Module:
    conv = parse(part.conv).build(part.c_in, part.c_out, part.stride)
    return nn.Sequential(conv, nn.BatchNorm2d(part.c_out), nn.ReLU())


_MAKERS: dict[str, Callable[[Part], nn.Module]] = {
    "layer": _layer,
    "add": lambda _: _Add(),
    "pool": lambda _: nn.AvgPool2d(2, ceil_mode=True),
    "head": lambda part: _Head(part.c_in, part.c_out),
}


def measure(request: dict[str, Any], say: Callable[[int, int], None]) -> dict[str, Any]:
    """Seconds of the parts and of the networks that a request lists, for a batch of images.

    They are timed as they are exported: see `nas_space.inference` and `studies.runtimes`.

    Each is timed several times, in random order, with a few runs in a row. The shortest run of a
    row counts, as the least disturbed; a network gets the quartiles over its rows.
    """
    batch, (channels, *size) = request["batch"], request["shape"]
    runtime = runtimes.find(request["runtime"])
    threads = request["threads"] or runtime.usual_threads(min(size))
    rows = [Part.of(row) for row in request["parts"]]
    total = (1 + _PART_PASSES) * len(rows) + (1 + _NETWORK_ROUNDS) * len(request["networks"])
    networks = [
        for_inference(build(read_architecture(text), channels, request["classes"]))
        for text in request["networks"]
    ]
    whole: list[runtimes.Call] = []
    for start in range(0, len(networks), _NETWORKS_AT_ONCE):
        these = networks[start : start + _NETWORKS_AT_ONCE]
        images = [torch.rand(batch, channels, *size) for _ in these]
        whole += runtime.prepared(these, images, threads)
        say(len(whole), total)
    layers: list[runtimes.Call] = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        inputs = [in_rows(torch.rand(batch, part.c_in, *part.size)) for part in some]
        modules = [for_inference(_MAKERS[part.what](part)) for part in some]
        layers += runtime.prepared(modules, inputs, threads, inside=True)
        say(len(whole) + len(layers), total)
    chance, done = random.Random(0), len(whole) + len(layers)
    seconds = [float("inf")] * len(rows)
    runs: list[list[float]] = [[] for _ in networks]
    for _ in range(_PART_PASSES):
        for at in chance.sample(range(len(rows)), len(rows)):
            seconds[at] = min(seconds[at], *_times(layers[at], _RUNS_IN_A_ROW))
            done += 1
            say(done, total)
    for _ in range(_NETWORK_ROUNDS):
        for at in chance.sample(range(len(networks)), len(networks)):
            runs[at].append(min(_times(whole[at], _RUNS_IN_A_ROW)))
            done += 1
            say(done, total)
    return {
        "hardware": runtimes.hardware(runtime, threads),
        "parts": seconds,
        "networks": [statistics.quantiles(times, n=4) for times in runs],
        "rounds": _NETWORK_ROUNDS,
    }


def _times(call: runtimes.Call, runs: int) -> list[float]:
    times: list[float] = []
    for _ in range(_WARM_UP_RUNS + runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        if len(times) > 1 and sum(times) > _ENOUGH_SECONDS:
            break
    return times[min(_WARM_UP_RUNS, len(times) - 1) :]


def _say(done: int, total: int) -> None:
    if done % 5 == 0 or done == total:
        print(done, total, flush=True)  # noqa: T201 - the parent reads it


def main(arguments: Sequence[str]) -> int:
    """Answer one request."""
    request, answer = map(Path, arguments)
    asked = json.loads(request.read_text())
    try:
        result = measure(asked, _say)
    except ConvnasError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the parent reads it
        return 2
    write_whole(answer, json.dumps(result).encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
