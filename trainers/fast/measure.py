"""Measures which algorithm pays on this kind of CPU, and writes it into table.csv.

    python -m trainers.fast.measure

Every algorithm that serves takes its turn at every size, forward and backward, on one core. Rows of
other kinds of CPU stay. It takes some minutes; let the machine do nothing else meanwhile.
"""

import argparse
import csv
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from nas_space.convs.igc import IGC
from nas_space.convs.igcv2 import IGCV2
from trainers.devices import multiplies_bf16
from trainers.fast import algorithms, chains, table
from trainers.fast.heap import kept_heap
from trainers.fast.kernels.convolution import Shape

_WIDTHS = (8, 16, 32, 64, 128, 256)
_SIDES = (1, 2, 4, 8, 16, 32)
_IMAGES = (16, 128)
_GROUP_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
_MOST_NUMBERS = 2**22
"""Numbers of the largest batch of maps that is measured; larger ones use the nearest row."""
_LEAST_NUMBERS = 2**10
_MOST_MACS = 2**31
_HOPELESS = 3.0
"""Times the best: an algorithm that takes so much longer is timed once."""

Timed = Mapping[str, Callable[[Tensor], Tensor]]


def convolutions(*, half: bool) -> Iterator[Shape]:
    """The convolutions to measure."""
    layers = [*_dense(), *_grouped()]
    for (c_in, c_out, groups, kernel, stride), side, images in itertools.product(
        layers, _SIDES, _IMAGES
    ):
        shape = Shape(images, c_in, c_out, groups, side, side, kernel, stride, half)
        numbers = images * side * side * max(c_in, c_out)
        macs = images * side * side * kernel**2 * c_in // groups * c_out // stride**2
        if stride <= side and _LEAST_NUMBERS <= numbers <= _MOST_NUMBERS and macs <= _MOST_MACS:
            yield shape


def _dense() -> Iterator[tuple[int, int, int, int, int]]:
    pairs = [(width, width) for width in (*_WIDTHS, 512)]
    pairs += [(width, 2 * width) for width in _WIDTHS]
    for (c_in, c_out), kernel, stride in itertools.product(pairs, (3, 1), (1, 2)):
        yield c_in, c_out, 1, kernel, stride


def _grouped() -> Iterator[tuple[int, int, int, int, int]]:
    for width, group, stride in itertools.product(_WIDTHS[1:], _GROUP_WIDTHS, (1, 2)):
        if group * 2 <= width:
            groups = width // group
            yield groups * group, groups * group, groups, 3, stride
            if stride > 1:
                yield groups * group, 2 * groups * group, groups, 3, stride


def rows(rounds: int, *, half: bool) -> Iterator[tuple[str, tuple[int, ...], dict[str, float]]]:
    """Every operation and size with the microseconds of each algorithm; convolutions first."""
    shapes = {table.conv_operation(shape): shape for shape in convolutions(half=half)}
    for (operation, size), shape in sorted(shapes.items()):
        yield operation, size, _of_convolution(shape, rounds)


def chain_rows(
    rounds: int, *, half: bool
) -> Iterator[tuple[str, tuple[int, ...], dict[str, float]]]:
    """The same of chains; they use convolutions, whose rows must be there."""
    for width, side, images in itertools.product(_WIDTHS[1:], _SIDES, _IMAGES):
        if not _LEAST_NUMBERS <= images * side * side * width <= _MOST_NUMBERS:
            continue
        for conv in (*IGC.settings(width, width), *IGCV2.settings(width, width)):
            module = conv.build(width, width)
            parts = [part for part in module.modules() if part is not module][1:]
            chain = chains.Chain.found(parts)
            assert chain is not None  # noqa: S101 - these types have one
            x = _maps((images, width, side, side), half=half)
            weights = [part.weight for part in chain.convs]
            times = _times(chain.algorithms(), x, weights, rounds, half=half)
            numbers = chains.size(chain.inner, chain.digits, width, side * side, images)
            yield f"chain of {len(chain.digits)}", numbers, times


def _of_convolution(shape: Shape, rounds: int) -> dict[str, float]:
    side = (shape.kernel, shape.kernel)
    weight = nn.Parameter(torch.randn(shape.c_out, shape.group_in, *side) / 10)
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    x = _maps((shape.images, shape.c_in, shape.height, shape.width), half=shape.half)
    serving = [found for found in algorithms.ALGORITHMS if found.serves(shape)]
    timed: Timed = {
        found.name: lambda x, found=found: found.compute(x, weight, shape)  # type: ignore[misc]
        for found in serving
    }
    return _times(timed, x, [weight], rounds, half=shape.half)


def _maps(size: tuple[int, ...], *, half: bool) -> Tensor:
    x = torch.randn(size, dtype=torch.bfloat16 if half else torch.float32)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def _times(
    timed: Timed, x: Tensor, weights: Sequence[Tensor], rounds: int, *, half: bool
) -> dict[str, float]:
    """The least microseconds of each, in turns: what other processes disturbed least."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for name, compute in timed.items():
        _step(compute, x, weights, half=half)  # compiles, and warms up
        found[name].append(_step(compute, x, weights, half=half))
    best = min(times[0] for times in found.values())
    for _ in range(rounds - 1):
        for name, compute in timed.items():
            if found[name][0] < _HOPELESS * best:
                found[name].append(_step(compute, x, weights, half=half))
    return {name: min(times) for name, times in found.items()}


def _step(
    compute: Callable[[Tensor], Tensor], x: Tensor, weights: Sequence[Tensor], *, half: bool
) -> float:
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
        y = compute(x)
    torch.autograd.grad(y, [x, *weights], torch.ones_like(y))
    return 1e6 * (time.perf_counter() - start)


def write(lines: Sequence[Mapping[str, str]]) -> None:
    """Replace the table, and forget what was read of it."""
    with table.FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table.FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(lines, key=lambda line: (line["cpu"], line["half"])))
    table.forget()
    algorithms.fastest.cache_clear()


def main() -> None:
    """Measure, a progress line an operation, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0, help="the core to measure on (default: 0)")
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    torch.set_num_threads(1)
    for half in (False, True) if multiplies_bf16() else (False,):
        lines = table.lines()
        kind = table.cpu(half=half)
        kept = [line for line in lines if (line["cpu"], line["half"]) != (kind, str(int(half)))]
        made = list[Mapping[str, str]]()
        with kept_heap():
            for part in (rows, chain_rows):
                for operation, size, times in part(given.rounds, half=half):
                    if not made or made[-1]["operation"] != operation:
                        # One operation may use another, whose rows have to be there.
                        write([*kept, *made])
                        print(f"{kind}, {'bf16' if half else 'fp32'}: {operation}", flush=True)  # noqa: T201
                    spelt = " ".join(f"{name}={number:.4g}" for name, number in times.items())
                    numbers = (kind, str(int(half)), operation, " ".join(map(str, size)), spelt)
                    made.append(dict(zip(table.FIELDS, numbers, strict=True)))
                write([*kept, *made])


if __name__ == "__main__":
    main()
