"""Which algorithm pays: times measured by ``python -m trainers.fast.measure``, kept in table.csv.

A row is an operation, its size, and the microseconds that each algorithm took there, forward and
backward on one core. The row nearest to a size, by the logarithms of its numbers, speaks for it.
A kind of CPU without rows leaves all to torch.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from trainers.fast.kernels.convolution import Shape

FILE = Path(__file__).with_name("table.csv")
FIELDS = ("cpu", "half", "operation", "size", "microseconds")

Times = Mapping[str, float]
"""Microseconds by the algorithm's name."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of an operation of some size."""

    size: tuple[int, ...]
    times: Times


@cache
def lanes() -> int:
    """Numbers in a vector of this CPU, in float32."""
    return 16 if _capability() == "avx512" else 8


@cache
def cpu(*, half: bool) -> str:
    """The kind of this CPU that the table tells apart.

    In bfloat16 a CPU that multiplies whole matrices (Intel's AMX) is a kind of its own.
    """
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if half and capabilities.get("amx_bf16"):
        return "amx"
    return _capability()


def _capability() -> str:
    """The instructions of this CPU that torch uses, as torch names them: avx512, avx2."""
    return torch.backends.cpu.get_cpu_capability().lower()


def conv_operation(shape: Shape) -> tuple[str, tuple[int, ...]]:
    """The name and the size of a convolution, as rows have them."""
    depthwise = shape.groups == shape.c_in == shape.c_out
    form = "dense" if shape.groups == 1 else "depthwise" if depthwise else "grouped"
    pixels = shape.height * shape.width
    size = (shape.group_in, shape.group_out, shape.groups, pixels, shape.images)
    return f"{form} {shape.kernel}x{shape.kernel}/{shape.stride}", size


def conv_times(shape: Shape) -> Times:
    """What the nearest row says of a convolution; nothing where there is no row."""
    return nearest(*conv_operation(shape), half=shape.half)


def nearest(operation: str, size: Sequence[int], *, half: bool) -> Times:
    """The times of an operation at the recorded size nearest to one; empty without rows."""
    point = [math.log2(number) for number in size]

    def distance(row: Row) -> float:
        return sum(abs(math.log2(a) - b) for a, b in zip(row.size, point, strict=True))

    found = min(_rows().get((cpu(half=half), half, operation), ()), key=distance, default=None)
    return {} if found is None else found.times


def lines() -> list[dict[str, str]]:
    """The rows as the file has them."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def forget() -> None:
    """Read the file again when it is next asked for."""
    _rows.cache_clear()


@cache
def _rows() -> Mapping[tuple[str, bool, str], Sequence[Row]]:
    found = defaultdict(list)
    for line in lines():
        size = tuple(map(int, line["size"].split()))
        pairs = (pair.split("=") for pair in line["microseconds"].split())
        times = {name: float(number) for name, number in pairs}
        key = (line["cpu"], line["half"] == "1", line["operation"])
        found[key].append(Row(size, times))
    return found
