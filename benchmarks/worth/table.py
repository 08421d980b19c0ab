"""`python -m benchmarks.worth.table`: the lines of `benchmarks.worth` as a table in Markdown."""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.worth.setting import SETTINGS, Setting, best
from nas_space.cli import Parser, run, short
from nas_space.spaces.residual import ResidualArchitecture
from nas_space.spaces.residual.families import FAMILIES
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
        if found:
            print(
                f"\n{setting.name}: {setting.images}, {setting.epochs} epochs, one search of "
                f"{setting.budget} trainings a level\n"
            )
            print(
                "| at most | best by hand | MACs | test % | found: MACs | test % | found - hand |"
            )
            print("| --- | --- | --- | --- | --- | --- | --- |")
            print("\n".join(found))
    return 0


def rows(lines: list[dict[str, Any]], setting: Setting) -> list[str]:
    """A row for each level at which both sides have fresh seeds."""
    return [row for macs in sorted(setting.levels) if (row := _row(lines, setting.name, macs))]


def _row(lines: list[dict[str, Any]], setting: str, macs: int) -> str | None:
    fresh: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for side in ("hand", "found"):
        chosen = best(lines, f"{setting}/choice/{macs}/{side}/")
        start = f"{setting}/fresh/{macs}/{side}/{chosen.key}/" if chosen else "none"
        fresh[side] = [line for line in lines if line["job"].startswith(start)]
    if len(fresh["hand"]) < 2 or len(fresh["found"]) < 2:  # noqa: PLR2004 - an interval needs two
        return None
    hand, found = ([100 * line["test"] for line in fresh[side]] for side in ("hand", "found"))
    difference = statistics.mean(found) - statistics.mean(hand)
    half = between_means(hand, found)
    cells = [
        short(macs),
        _name(lines, setting, macs),
        short(fresh["hand"][0]["macs"]),
        f"{statistics.mean(hand):.1f} (n = {len(hand)})",
        short(fresh["found"][0]["macs"]),
        f"{statistics.mean(found):.1f} (n = {len(found)})",
        f"{difference:+.1f} ± {half:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _name(lines: list[dict[str, Any]], setting: str, macs: int) -> str:
    chosen = best(lines, f"{setting}/choice/{macs}/hand/")
    assert isinstance(chosen, ResidualArchitecture)  # noqa: S101 - fresh seeds exist
    width = chosen.stages[0].width
    return next(f.name for f in FAMILIES if ResidualArchitecture(f.stages(width)) == chosen)


if __name__ == "__main__":
    raise SystemExit(main())
