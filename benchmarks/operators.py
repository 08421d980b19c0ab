"""How the time of each operator follows its multiply-adds, and what our ways to compute it save.

    uv run python -m benchmarks.operators
    uv run python -m benchmarks.operators --networks

Each type at each point of a grid (width, size of the map, batch) is timed beside the regular
convolution of equal width, and beside its own layer (`nas_space.layers`) as torch computes it, in
NCHW and in channels_last. Ours is the layer behind `trainers.fast.for_training` in training, and
as it is exported in inference. All take turns, one thread, and each point is seen to be the same
function.
Ours trains in bf16 where a network on images of --images pixels does, all of its maps.
Points above --limit GMACs of a regular convolution, forward, are left out.

With --networks whole networks of the papers are timed against their regular counterparts.
"""

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.tables import circumstances, spread
from nas_space import networks
from nas_space.convs import Conv, parse
from nas_space.inference import for_inference
from trainers import devices
from trainers.fast import for_training

CHOICES: dict[str, Callable[[int], tuple[str, ...]]] = {
    "regular": lambda _: ("regular",),
    "xception": lambda _: ("xception",),
    "igc": lambda c: tuple(f"igc(L={c // m},M={m})" for m in (2, 8) if c // m > 1),
    "deep_roots": lambda _: ("deep_roots(groups=4)", "deep_roots(groups=16)"),
    "octave": lambda _: ("octave(alpha=0.25)", "octave(alpha=0.5)"),
}
"""Settings of each type at a width."""
WAYS = ("regular", "nchw", "channels_last", "ours")
_LEAST = 0.02
"""Seconds of a measurement: what takes less is repeated."""
_ENOUGH = 0.5
"""Seconds after which it is not."""
_RUNS = 3
_EQUAL = 1e-3
"""Largest difference of outputs and gradients in fp32, as a share of the largest number."""


@dataclass(frozen=True, slots=True)
class Point:
    """One operator on one map, with the seconds of each way in each round."""

    kind: str
    choice: str
    width: int
    size: int
    batch: int
    trains: bool
    macs: float
    """Of a regular convolution's."""
    seconds: dict[str, list[float]]

    def ratio(self, way: str, to: str) -> float:
        """Median over rounds of the time of a way, as a share of another's."""
        pairs = zip(self.seconds[way], self.seconds[to], strict=True)
        return statistics.median(a / b for a, b in pairs)


def seconds(step: Callable[[], object]) -> float:
    """The least time of a few runs."""
    found: list[float] = []
    while sum(found) < _LEAST or (len(found) < _RUNS and sum(found) < _ENOUGH):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return min(found)


def trained(
    module: nn.Module, x: Tensor, amp: torch.dtype | None, *, fast: bool = False
) -> Callable[[], list[Tensor]]:
    """Forward and backward, behind the pass or not; gives output and gradients."""
    if fast:
        module = for_training(module)
    module.train()
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    parts = [x, *module.parameters()]

    def step() -> list[Tensor]:
        with torch.autocast("cpu", amp, enabled=amp is not None):
            y = module(x)
        return [y.detach(), *torch.autograd.grad(y, parts, torch.ones_like(y))]

    return step


def inferred(module: nn.Module, x: Tensor) -> Callable[[], list[Tensor]]:
    """Forward, without gradients."""
    module.eval()

    def step() -> list[Tensor]:
        with torch.inference_mode():
            return [module(x)]

    return step


def steps(
    conv: Conv, width: int, x: Tensor, *, trains: bool, amp: torch.dtype | None
) -> dict[str, Callable[[], list[Tensor]]]:
    """What is timed, with equal weights; in NCHW always in fp32."""
    torch.manual_seed(0)
    plain, ours = conv.build(width, width), conv.build(width, width)
    rows = {"regular": parse("regular").build(width, width), "nchw": plain}
    rows["channels_last"] = conv.build(width, width)
    for module in (rows["channels_last"], ours):
        module.load_state_dict(plain.state_dict())
    if trains:
        rows["ours"] = ours
        lasting = {
            way: module.to(memory_format=torch.channels_last)
            for way, module in rows.items()
            if way != "nchw"
        } | {"nchw": plain}
        # In the type in which the layer before hands it on.
        there = x.to(amp or x.dtype).contiguous(memory_format=torch.channels_last)
        return {
            way: trained(
                lasting[way],
                x if way == "nchw" else there,
                None if way == "nchw" else amp,
                fast=way == "ours",
            )
            for way in WAYS
        }
    # Nobody runs a convolution alone: normalisation and ReLU are there, for ours to take in.
    made: dict[str, nn.Module] = {
        way: nn.Sequential(module, nn.BatchNorm2d(width), nn.ReLU()) for way, module in rows.items()
    }
    made["ours"] = for_inference(nn.Sequential(ours, nn.BatchNorm2d(width), nn.ReLU()))
    there = x.contiguous(memory_format=torch.channels_last)
    return {
        way: inferred(
            module if way == "nchw" else module.to(memory_format=torch.channels_last),
            x if way == "nchw" else there,
        )
        for way, module in made.items()
    }


def check(made: dict[str, Callable[[], list[Tensor]]]) -> None:
    """Stop where ours does not give what the layer does."""
    for ours, theirs in zip(made["ours"](), made["nchw"](), strict=True):
        worst = float((ours.float() - theirs).abs().max()) / float(theirs.abs().max())
        if not worst <= _EQUAL:
            raise SystemExit(f"outputs or gradients differ by {worst:.1e}")


def measure(given: argparse.Namespace) -> list[Point]:
    """All points of the grid."""
    amp = devices.best(given.images).amp
    found = []
    for width, size, batch in itertools.product(given.widths, given.sizes, given.batches):
        regular = parse("regular").macs(width, width, (size, size))
        if regular * batch > given.limit * 1e9:
            continue
        x = torch.randn(batch, width, size, size)
        for kind in given.types:
            for label, trains in itertools.product(CHOICES[kind](width), (True, False)):
                conv = parse(label)
                made = steps(conv, width, x, trains=trains, amp=amp)
                if amp is None or not trains:
                    check(made)
                took = {way: list[float]() for way in WAYS}
                for _ in range(given.rounds):
                    for way in WAYS:
                        took[way].append(seconds(made[way]))
                share = conv.macs(width, width, (size, size)) / regular
                found.append(Point(kind, label, width, size, batch, trains, share, took))
        print(f"  width {width}, {size}×{size}, batch {batch}", flush=True)
    return found


def geometric(values: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def print_summary(points: Sequence[Point], types: Sequence[str]) -> None:
    """A row for each type, in training and in inference."""
    print(
        "\n| type | | points | MACs : regular | time : regular | : NCHW | : "
        "channels_last | worst of that |"
    )
    print("| --- " * 8 + "|")
    for trains, kind in itertools.product((True, False), types):
        rows = [point for point in points if (point.kind, point.trains) == (kind, trains)]
        if not rows:
            continue
        worst = max(rows, key=lambda point: point.ratio("ours", "channels_last"))
        where = f"{worst.choice}, {worst.width} at {worst.size}×{worst.size}, batch {worst.batch}"
        print(
            f"| {kind} | {'training' if trains else 'inference'} | {len(rows)} "
            f"| {geometric([point.macs for point in rows]):.2f} "
            + "".join(
                f"| {geometric([point.ratio('ours', way) for point in rows]):.2f} "
                for way in ("regular", "nchw", "channels_last")
            )
            + f"| {worst.ratio('ours', 'channels_last'):.2f} ({where}) |"
        )


def print_points(points: Sequence[Point]) -> None:
    """A row for each point."""
    print(
        "\n| choice | width | size | batch | | MACs : regular | time : regular | : NCHW "
        "| : channels_last |"
    )
    print("| --- " * 9 + "|")
    for point in points:
        ratios = " | ".join(
            f"{point.ratio('ours', way):.2f}" for way in ("regular", "nchw", "channels_last")
        )
        print(
            f"| {point.choice} | {point.width} | {point.size} | {point.batch} "
            f"| {'training' if point.trains else 'inference'} | {point.macs:.2f} | {ratios} |"
        )


PAIRS = (
    ("oct-resnet-50-v1b-a0.5", "resnet-50-v1b"),
    ("oct-resnet-50-v1b-a0.25", "resnet-50-v1b"),
    ("igc-l24m2-d38", "regconv-w18-d38"),
    ("igc-l4m8-d38", "regconv-w18-d38"),
)
"""Networks, and their regular counterparts."""


def print_networks(given: argparse.Namespace) -> None:
    """Whole networks: inference as exported, and a training step, against their counterparts."""
    print("| network | : | MACs | batch | inference | training step |")
    print("| --- " * 6 + "|")
    for (name, other), batch in itertools.product(PAIRS, given.batches):
        pair = [networks.get(name), networks.get(other)]
        x = torch.randn(batch, *pair[0].shape).contiguous(memory_format=torch.channels_last)
        amp = devices.best(given.images).amp
        took: dict[bool, list[float]] = {True: [], False: []}
        for trains in (False, True):
            made = []
            for network in pair:
                module = network.build().to(memory_format=torch.channels_last)
                made.append(
                    trained(module, x, amp, fast=True)
                    if trains
                    else inferred(for_inference(module), x)
                )
                made[-1]()
            for _ in range(given.rounds):
                first, second = (seconds(step) for step in made)
                took[trains].append(first / second)
        macs = [network.counts().macs for network in pair]
        print(
            f"| {name} | {other} | {macs[0] / macs[1]:.2f} | {batch} "
            f"| {spread(took[False], 2)} | {spread(took[True], 2)} |",
            flush=True,
        )


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 16, 8])
    parser.add_argument(
        "--images", type=int, default=32, help="side of the images whose network has these maps"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 128, 256])
    parser.add_argument("--types", nargs="+", default=list(CHOICES), choices=list(CHOICES))
    parser.add_argument("--limit", type=float, default=5.0, help="GMACs of a point")
    parser.add_argument("--points", action="store_true", help="print every point")
    parser.add_argument("--networks", action="store_true", help="whole networks instead")
    parser.add_argument("--output", type=Path, help="a file for every measured second, as JSON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(circumstances(given.rounds) + "\n", flush=True)
    if given.networks:
        print_networks(given)
        return
    points = measure(given)
    print_summary(points, given.types)
    if given.points:
        print_points(points)
    if given.output is not None:
        given.output.write_text(json.dumps([asdict(point) for point in points]))


if __name__ == "__main__":
    main()
