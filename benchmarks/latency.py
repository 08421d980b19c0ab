"""`python -m benchmarks.latency`: by how much MACs mislead about latency, and a table does not.

All layers of the space mixed are timed on this machine, and whole networks: of the space mixed and
of each type alone. Half of those of the space mixed calibrate the table and, likewise, a factor for
MACs; all other networks are predicted.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from nas_space.cli import Parser, positive
from nas_space.convs import parse
from nas_space.convs.regular import Regular
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get, spaces
from searchers.latency.fitting import kendall
from searchers.latency.obtaining import calibrate, measured, networks
from searchers.latency.parts import Part, every_part, layer
from searchers.latency.sampling import completed, sampled
from studies.runtimes import DEFAULT_RUNTIME, RUNTIMES
from studies.runtimes.timing import Timing


def main() -> int:
    """Measure and print two tables."""
    parser = Parser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--batch", type=positive, default=1)
    parser.add_argument("--runtime", choices=RUNTIMES, default=DEFAULT_RUNTIME)
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--size", type=positive, default=32, help="pixels a side")
    parser.add_argument("--networks", type=positive, default=80, help="of the space mixed")
    parser.add_argument("--within", type=positive, default=15, help="of each type alone")
    given = parser.parse_args()
    task = Task(3, (given.size, given.size), 10)
    rows = every_part(get("mixed"), task)
    groups = {name: networks(get(name), given.within) for name in spaces() if name != "mixed"}
    groups = {"mixed": networks(get("mixed"), given.networks)} | groups
    chosen = [network for group in groups.values() for network in group]
    timing = Timing(given.runtime, given.threads, given.batch)
    timed = sampled(rows)
    answer = measured(timed, task, chosen, timing, lambda _line: None)
    seconds = completed(rows, dict(zip(timed, answer["parts"], strict=True)))
    print(f"{answer['hardware']}; batch {given.batch}, {given.size}×{given.size} pixels\n")
    _print_paces(seconds)
    _print_errors(groups, seconds, np.array(answer["networks"]), task)
    return 0


def _print_paces(seconds: dict[Part, float]) -> None:
    """How long a MAC of each type takes, next to a regular layer of the same place."""
    ratios: dict[str, list[float]] = {}
    macs: dict[str, list[float]] = {}
    for part, took in seconds.items():
        if not part.chosen:
            continue
        dense = layer(Regular(), part.c_in, part.c_out, part.size, part.stride)
        kind = parse(part.conv).kind
        ratios.setdefault(kind, []).append(took / part.macs / (seconds[dense] / dense.macs))
        macs.setdefault(kind, []).append(part.macs / dense.macs)
    print(
        _table(
            ["type", "layers", "MACs of regular's", "time of regular's", "time a MAC", "range"],
            [
                [
                    kind,
                    str(len(found)),
                    f"{_mean(macs[kind]):.2f}",
                    f"{_mean([a * b for a, b in zip(found, macs[kind], strict=True)]):.2f}",
                    f"{_mean(found):.1f}×",
                    f"{min(found):.1f}–{max(found):.0f}×",
                ]
                for kind, found in sorted(ratios.items())
            ],
        )
    )


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [headings, ["---"] * len(headings), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _mean(values: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def _print_errors(
    groups: dict[str, list[Architecture]],
    seconds: dict[Part, float],
    quartiles: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    task: Task,
) -> None:
    """How networks are ranked and predicted by MACs alone, and by the table."""
    half = len(groups["mixed"]) // 2
    model = calibrate("here", 1, task, seconds, groups["mixed"][:half], quartiles[:half])
    costs = np.array([predict(n, task).macs for g in groups.values() for n in g], dtype=float)
    known = costs[:half] / quartiles[:half, 1]
    pace = known.sum() / (known @ known)
    at, lines = 0, []
    for name, group in groups.items():
        first = at + half * (name == "mixed")
        at += len(group)
        took, cost = quartiles[first:at, 1], costs[first:at]
        told = np.array([model.predict(n) for n in group[len(group) - (at - first) :]])
        lines.append(
            [
                name,
                str(at - first),
                f"{kendall(cost, took):.2f}",
                f"{kendall(told, took):.2f}",
                f"{np.median(np.abs(pace * cost / took - 1)):.0%}",
                f"{np.median(np.abs(told / took - 1)):.1%}",
                f"{1000 * took.min():.2f}–{1000 * took.max():.2f}",
            ]
        )
    spread = np.median((quartiles[:, 2] - quartiles[:, 0]) / quartiles[:, 1])
    headings = ["networks of", "n", "tau MACs", "tau table", "error MACs", "error table", "ms"]
    print(_table(headings, lines))
    print(f"quartiles of a network's rows of runs: {spread:.1%} apart (median of networks)")


if __name__ == "__main__":
    raise SystemExit(main())
