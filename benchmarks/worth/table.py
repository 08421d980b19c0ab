"""`python -m benchmarks.worth.table`: the lines of `benchmarks.worth` as a table in Markdown."""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worth.setting import SETTINGS, SIDES, Setting, best
from nas_space.cli import Parser, run, short
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualArchitecture
from trainers.intervals import between_means


def main() -> int:
    """Print the tables."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, default=Path("docs/results/worth.jsonl"))
    lines = [json.loads(text) for text in parser.parse_args().lines.read_text().splitlines()]
    for setting in SETTINGS.values():
        found = rows(lines, setting)
        if not found:
            continue
        count = len(found)
        how = f"one search of {setting.budget} trainings a level"
        if setting.found_by:
            how = f"found by the searches of {setting.found_by}"
        print(f"\n{setting.name}: {setting.images}, {setting.epochs} epochs, {how}\n")
        print("| at most | best by hand | cost | test % | found | test % | gain | random |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        print("\n".join(row.cells(count, setting.told) for row in found))
        # Levels are independent: their errors add up as squares.
        half = math.sqrt(sum(row.half() ** 2 for row in found)) / count
        mean = statistics.mean(row.gain for row in found)
        print(f"\nmean gain of {count} levels: {mean:+.1f} ± {half:.1f} points")
        _print_after([row for row in found if "after" in row.sides], setting)
    return 0


def _print_after(found: Sequence["Row"], setting: Setting) -> None:
    """The networks that were found beside `benchmarks.worth.setting.AFTER`."""
    if not found:
        return
    print("\n| at most | blueprint by hand, after the search | test % | found minus that |")
    print("| --- | --- | --- | --- |")
    errors, gains = [], []
    for row in found:
        one, other = row.sides["found"], row.sides["after"]
        gains.append(statistics.mean(one) - statistics.mean(other))
        errors.append(between_means(one, other))
        half = between_means(one, other, comparisons=len(found))
        cost, mean = setting.told(row.used["after"]), statistics.mean(other)
        print(f"| {setting.told(row.level)} | {cost} | {mean:.1f} (n = {len(other)}) ", end="")
        print(f"| {gains[-1]:+.1f} ± {half:.1f} |")
    half = math.sqrt(sum(error**2 for error in errors)) / len(found)
    print(f"\nmean of {len(found)} levels: {statistics.mean(gains):+.1f} ± {half:.1f} points")


@dataclass(frozen=True)
class Row:
    """A level at which both sides were trained with fresh seeds.

    Attributes:
        level: the most MACs, or microseconds.
        family: the best by hand.
        sides: test accuracies in percent of each side.
        used: MACs of each side's network, or microseconds.
    """

    level: int
    family: str
    sides: Mapping[str, Sequence[float]]
    used: Mapping[str, float]

    @property
    def gain(self) -> float:
        """Points by which the found network is better."""
        return statistics.mean(self.sides["found"]) - statistics.mean(self.sides["hand"])

    def half(self, comparisons: int = 1) -> float:
        """Half the gain's 95 % interval, see `between_means`."""
        return between_means(self.sides["found"], self.sides["hand"], comparisons=comparisons)

    def cells(self, comparisons: int, told: Callable[[float], str] = short) -> str:
        """The row in Markdown."""
        shown = [told(self.level), self.family, told(self.used["hand"]), self._told("hand")]
        shown += [told(self.used["found"]), self._told("found")]
        shown += [f"{self.gain:+.1f} ± {self.half(comparisons):.1f}", self._told("random")]
        return f"| {' | '.join(shown)} |"

    def _told(self, side: str) -> str:
        values = self.sides.get(side)
        return f"{statistics.mean(values):.1f} (n = {len(values)})" if values else "–"


def rows(lines: list[dict[str, Any]], setting: Setting) -> list[Row]:
    """The levels at which both sides have fresh seeds."""
    return [row for macs in sorted(setting.levels) if (row := _row(lines, setting.name, macs))]


def _row(lines: list[dict[str, Any]], setting: str, macs: int) -> Row | None:
    sides, used = {}, {}
    for side in ("hand", "after", *SIDES.values()):
        chosen = _chosen(lines, setting, macs, side)
        start = f"{setting}/fresh/{macs}/{side}/{chosen.key}/" if chosen else "none"
        fresh = [line for line in lines if line["job"].startswith(start)]
        if len(fresh) > 1:  # an interval needs two
            sides[side] = [100 * line["test"] for line in fresh]
            used[side] = fresh[0].get("us", fresh[0]["macs"])
    if not sides.keys() >= {"hand", "found"}:
        return None
    return Row(macs, _name(lines, setting, macs), sides, used)


def _chosen(lines: list[dict[str, Any]], setting: str, macs: int, side: str) -> Architecture | None:
    return best(lines, f"{setting}/choice/{macs}/{side}/", SETTINGS[setting].choice_seeds)


def _name(lines: list[dict[str, Any]], setting: str, macs: int) -> str:
    chosen = _chosen(lines, setting, macs, "hand")
    assert isinstance(chosen, ResidualArchitecture)  # noqa: S101 - fresh seeds exist
    width, families = chosen.stages[0].narrow, SETTINGS[setting].families.families
    return next(f.name for f in families if ResidualArchitecture.of(f, width) == chosen)


if __name__ == "__main__":
    raise SystemExit(main())
