"""How long layers and networks take in ONNX Runtime, in float32 and in int8, on one thread.

    uv run python -m benchmarks.runtimes

The first table has a layer of each type, with its normalisation and ReLU, as a share of the
regular one at its side: with its groups, and in its fastest form. Each is timed in turns with
others, and the least of its runs counts. The second table has whole networks, in turns, medians and
quartiles of the quotients.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.tables import circumstances
from benchmarks.trainer import NETWORKS
from nas_space import papers
from nas_space.cli import Parser, positive
from nas_space.convs import parse
from nas_space.inference import for_inference
from nas_space.spaces.building import build
from studies.runtimes import Call
from studies.runtimes.in_onnxruntime import FLOAT32, INT8, OnnxRuntime

_PLACES = ((16, 32), (32, 16), (64, 8), (64, 32), (128, 8), (256, 4))
"""Channels, and pixels of a side."""
_TYPES = (
    "regular",
    "xception",
    "blueprint",
    "deep_roots(groups=4)",
    "deep_roots(groups=16)",
    "igc(L=8,M=2)",
    "igc(L=2,M=8)",
    "igcv2(K1=4,K2=4,K3=4)",
    "octave(alpha=0.5)",
)
_RUNS_IN_A_ROW = 8


def main(argv: Sequence[str]) -> int:
    """Print the tables."""
    parser = Parser(
        prog="python -m benchmarks.runtimes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=positive, default=5)
    given = parser.parse_args(argv)
    print(f"{circumstances(1)}; {FLOAT32.version()}\n")
    _layers(given.rounds)
    _networks(given.rounds)
    return 0


def _layers(rounds: int) -> None:
    rows = [(width, side, text) for width, side in _PLACES for text in _TYPES]
    modules = [_layer(width, text) for width, _, text in rows]
    images = [torch.rand(1, width, side, side) for width, side, _ in rows]
    columns = [
        _least(runtime.calls(form, images, 1), rounds)
        for runtime in (FLOAT32, INT8)
        for form in (modules, runtime.fastest(modules, images, 1)[0])
    ]
    print(
        "| channels, side | type | fp32, regular µs | as trained | fastest form | int8, regular µs "
        "| as trained | fastest form |\n" + "| --- " * 8 + "|"
    )
    for at, (width, side, text) in enumerate(rows):
        dense = at - at % len(_TYPES)
        fp32, fp32_fast, int8, int8_fast = (column[at] / column[dense] for column in columns)
        print(
            f"| {width}, {side} | {text} | {1e6 * columns[0][dense]:.0f} | {fp32:.2f} | "
            f"{fp32_fast:.2f} | {1e6 * columns[2][dense]:.0f} | {int8:.2f} | {int8_fast:.2f} |"
        )


def _layer(width: int, text: str) -> nn.Module:
    layer = parse(text).build(width, width, 1)
    return for_inference(nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU()))


def _least(calls: Sequence[Call], rounds: int) -> list[float]:
    """The least seconds of each."""
    found = [float("inf")] * len(calls)
    for _ in range(rounds):
        for at, call in enumerate(calls):
            found[at] = min(found[at], *(_seconds(call) for _ in range(_RUNS_IN_A_ROW)))
    return found


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _networks(rounds: int) -> None:
    print("\n| network | : | quotient of times |\n| --- | --- | --- |")
    octave, regular = (
        for_inference(papers.get(name).build().eval())
        for name in ("oct-resnet-50-v1b-a0.5", "resnet-50-v1b")
    )
    large = torch.rand(1, 3, 224, 224)
    for runtime, numbers in ((FLOAT32, "fp32"), (INT8, "int8")):
        first, second = (_call(runtime, network, large) for network in (octave, regular))
        quotient = _quotient(first, second, rounds)
        print(f"| oct-resnet-50-v1b-a0.5, {numbers} | resnet-50-v1b | {quotient} |")
    small, images = for_inference(build(NETWORKS["ResNet-20"], 3, 10)), torch.rand(1, 3, 32, 32)
    first, second = (_call(runtime, small, images) for runtime in (INT8, FLOAT32))
    print(f"| ResNet-20, int8 | fp32 | {_quotient(first, second, 40 * rounds)} |")


def _call(runtime: OnnxRuntime, network: nn.Module, images: Tensor) -> Call:
    (call,) = runtime.calls([network], [images], 1)
    return call


def _quotient(first: Call, second: Call, rounds: int) -> str:
    for call in (first, second):
        call()
    found = [_seconds(first) / _seconds(second) for _ in range(rounds)]
    low, median, high = statistics.quantiles(found, n=4)
    return f"{median:.2f} ({low:.2f} to {high:.2f}, n = {rounds})"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
