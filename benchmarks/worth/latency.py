"""How long found and hand-designed networks of equal MACs take, in ONNX Runtime and in torch.

    uv run python -m benchmarks.worth.latency

The networks of each level that `benchmarks.worth` compared, in the form in which they are shipped,
for one image on one thread: medians of rounds in which all take turns.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.worth.runtime import calls, seconds
from benchmarks.worth.setting import SETTINGS, Setting, best
from nas_space.cli import Parser, positive, run, short
from nas_space.costs.cost import Task
from nas_space.inference import for_inference
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build

_LINES = Path("docs/results/worth.jsonl")


def main() -> int:
    """Print the table."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, default=_LINES)
    parser.add_argument("--rounds", type=positive, default=15)
    given = parser.parse_args()
    lines = [json.loads(text) for text in given.lines.read_text().splitlines()]
    torch.set_num_threads(1)
    print("| setting | at most | ONNX Runtime, µs: by hand | found | torch, µs: by hand | found |")
    print("| --- | --- | --- | --- | --- | --- |")
    for setting in SETTINGS.values():
        for macs in sorted(setting.levels):
            pair = _pair(lines, setting, macs)
            if pair is not None:
                cells = [f"{time:.0f}" for time in _times(pair, setting.task, given.rounds)]
                print(f"| {setting.name} | {short(macs)} | {' | '.join(cells)} |", flush=True)
    return 0


def _pair(
    lines: list[dict[str, Any]], setting: Setting, macs: int
) -> tuple[Architecture, Architecture] | None:
    """The network by hand and the one that was found, where both were chosen."""
    hand, found = (
        best(lines, f"{setting.name}/choice/{macs}/{side}/", setting.choice_seeds)
        for side in ("hand", "found")
    )
    return None if hand is None or found is None else (hand, found)


def _times(pair: tuple[Architecture, ...], task: Task, rounds: int) -> list[float]:
    """Microseconds an image in ONNX Runtime for each network, then in torch."""
    image = torch.zeros(1, task.channels, *task.size)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        each = calls(pair, task, Path(folder))
        for network in pair:
            module = for_inference(build(network, task.channels, task.classes))
            each.append(partial(module, image))
        return [1e6 * taken for taken in seconds(each, rounds)]


if __name__ == "__main__":
    raise SystemExit(main())
