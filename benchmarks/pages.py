"""Every command of the pages of results still runs: all of them, each with little to do.

    uv run python -m benchmarks.pages

The commands behind the figures take minutes to hours. Here they are run as they stand on the pages,
but for the options that say how much, in a folder of their own, on a few coloured digits in the
place of CIFAR-10. Takes about fifteen minutes; what a command printed is shown if it fails.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

from trainers.data.registry import load

ROOT = Path(__file__).parents[1]
_COMMAND = re.compile(
    r"python -m ((?:benchmarks|tests|searchers|studies)\.[\w.]+)((?:\\\n|[^`\n])*)"
)
_PICTURES = "PICTURES"
LITTLE = {
    "benchmarks.conversion": ["--models resnet18", "--size 32", "--rounds 1"],
    "benchmarks.growth": ["--sizes 20", "--workers 1", "--seconds 0.1"],
    "benchmarks.igc": ["--subset 48", "--epochs 1", "--seeds 1", "--depth 8", "--workers 1"],
    "benchmarks.job": ["--budget 2", "--rounds 1"],
    "benchmarks.kernels": ["--spaces regular", "--sizes 8", "--rounds 1", "--networks 1"],
    "benchmarks.latency": ["--networks 4", "--within 2", "--size 8"],
    "benchmarks.operators": ["--widths 32", "--sizes 8", "--batches 1", "--rounds 1"],
    "benchmarks.overhead": ["--rounds 1", "--trials 4", "--seconds 0.1"],
    "benchmarks.samplers": ["--budget 4", "--seeds 1", "--epochs 1", "--samplers random"],
    "benchmarks.scores": [],
    "benchmarks.tabular.replay": ["--seeds 2", "--budget 10", "--workers 1"],
    "benchmarks.tabular.surrogate": [],
    "benchmarks.tabular.train": ["--minutes 1", "--output little.jsonl"],
    "benchmarks.trainer": ["--rounds 1", "--images 256", "--epochs 1"],
    "searchers.run": ["--budget 2", "--subset 48", "--epochs 1", "--rungs 1"],
    "studies.finalists": ["--seeds 1"],
    "tests.faults.chaos": ["--kills 1"],
}
"""By module, the options that replace those of a page; a module that is not here is not run."""
_PLACES = {
    "cifar10-jpeg": _PICTURES,
    "CIFAR-10-FOLDER": _PICTURES,
    "PATH": _PICTURES,
    "--storage URL": "",
    "$COMMON": f"--space mixed --dataset {_PICTURES} --image-size 16 --max-macs 20M",
}


def commands() -> Iterator[tuple[str, str]]:
    """The distinct commands of the pages, as module and arguments, with little to do."""
    seen = set[str]()
    for page in sorted((ROOT / "docs" / "results").glob("*.md")):
        for module, rest in _COMMAND.findall(page.read_text()):
            if module not in LITTLE:
                continue
            arguments = rest.replace("\\\n", " ").partition(" # ")[0].replace("&", "").strip()
            for place, here in _PLACES.items():
                arguments = arguments.replace(place, here)
            for option in LITTLE[module]:
                name = option.partition(" ")[0]
                said = re.sub(rf"{name}(?: +(?!--)[^\s]+)*", option, arguments)
                arguments = said if name in arguments else f"{arguments} {option}"
            command = " ".join([module, *arguments.split()])
            if command not in seen:
                seen.add(command)
                yield module, arguments


def draw(folder: Path) -> None:
    """A few images of each of ten classes, in colour."""
    data = load("digits").search
    for number in range(160):
        place = folder / str(data.classes[data.train.labels[number]])
        place.mkdir(parents=True, exist_ok=True)
        drawn = Image.fromarray(data.train.pixels[number, :, :, 0]).resize((32, 32))
        ImageOps.colorize(drawn, "black", "orange").save(place / f"{number}.png")


def main() -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="commands that have this in them")
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder, _PICTURES))
        environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
        for module, arguments in commands():
            if given.only not in f"{module} {arguments}":
                continue
            start = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", module, *arguments.split()],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            failed += done.returncode != 0
            print(
                f"{'failed' if done.returncode else 'ran'} in {time.monotonic() - start:.0f} s: "
                f"{module} {arguments}",
                flush=True,
            )
            if done.returncode:
                print(f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
