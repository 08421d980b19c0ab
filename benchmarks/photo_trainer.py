"""Images a second of our trainer and of a DataLoader loop, for photographs and on two cores.

    uv run python -m benchmarks.photo_trainer --rounds 5

All train the same network with the same changes of images, those of --recipe, in turns:

- convnas: two trainings of one thread each, as in a search;
- plain: one training of two threads by torch's own layers, whose images come from a DataLoader of
  two workers, with torchvision's transforms for each image;
- plain, twice: two trainings of one thread each, each with a worker.

Speeds are sums over both trainings, the medians of all epochs but the first. CPU seconds are those
of whole trainings with their workers: they change less with other load. Images are random.
"""

import argparse
import dataclasses
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.tables import circumstances, spread
from nas_space.cli import Parser, positive, run
from nas_space.costs.cost import Task, predict
from nas_space.spaces.residual import ResidualArchitecture
from nas_space.spaces.residual.families import FAMILIES
from trainers.data.splits import SearchData, Subset, make_dataset
from trainers.recipes import RECIPES

_CLASSES = 10
_NETWORKS = {"ResNet-8, images halved": 16, "MobileNetV2, images halved": 16}
"""Families, and the width of the first stage."""
_WAYS = {"convnas": (2, 1, 0), "plain": (1, 2, 2), "plain, twice": (2, 1, 1)}
"""Trainings at a time, and threads and workers of each."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one training, or several side by side, took.

    Attributes:
        speed: images a second of wall time.
        cpu: images a second of CPU time.
    """

    speed: float
    cpu: float


def _network(name: str) -> ResidualArchitecture:
    family = next(family for family in FAMILIES if family.name == name)
    return ResidualArchitecture(family.stages(_NETWORKS[name]))


def _images(count: int, side: int) -> SearchData:
    pixels = np.random.default_rng(0).integers(0, 256, (2 * count, side, side, 3), dtype=np.uint8)
    return make_dataset(
        "random",
        tuple(map(str, range(_CLASSES))),
        {"train": np.arange(len(pixels)) % _CLASSES},
        lambda _, positions: pixels[positions],
        flip=True,
        subset=Subset.earlier(count),
    ).search


def _measure(way: str, network: str, given: argparse.Namespace) -> None:
    """Train, and print what it took as JSON."""
    import torch  # noqa: PLC0415 - threads are set before

    from benchmarks import plain  # noqa: PLC0415
    from nas_space.spaces.building import build  # noqa: PLC0415
    from trainers import devices  # noqa: PLC0415
    from trainers.training import Trainer  # noqa: PLC0415

    _, threads, workers = _WAYS[way]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    data = _images(given.images, given.side)
    recipe = dataclasses.replace(RECIPES.get(given.recipe), epochs=given.epochs)
    module = build(_network(network), 3, _CLASSES)
    before = _cpu_seconds()
    if way == "convnas":
        marks = [time.perf_counter()]
        Trainer(data, recipe, devices.best(given.side)).train(
            module, seed=0, on_epoch=lambda *_: marks.append(time.perf_counter())
        )
        seconds = [after - before for before, after in itertools.pairwise(marks)]
    else:
        seconds = list(plain.train(module, data, recipe, workers).epoch_seconds)
    size = recipe.batch(len(data.train))
    trained = len(data.train) // size * size
    speed = trained / statistics.median(seconds[1:] or seconds)
    # Workers count once they have ended: the loader is gone by now.
    cpu = trained * given.epochs / (_cpu_seconds() - before)
    print(json.dumps(dataclasses.asdict(Measured(speed, cpu))))


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _round(way: str, network: str, given: argparse.Namespace) -> Measured:
    """All trainings of a way, side by side on two cores."""
    count, threads, _ = _WAYS[way]
    command = [sys.executable, "-m", "benchmarks.photo_trainer", *sys.argv[1:]]
    command += ["--measure", json.dumps([way, network])]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    processes = []
    for _ in range(count):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(process.pid, given.cores)
        processes.append(process)
    found = []
    for process in processes:
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(process.returncode)
        found.append(Measured(**json.loads(out.splitlines()[-1])))
    return Measured(
        sum(one.speed for one in found), statistics.harmonic_mean([one.cpu for one in found])
    )


def main() -> int:
    """Run the rounds and print the table."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--recipe", default="photo-full")
    parser.add_argument("--side", type=positive, default=96, help="pixels")
    parser.add_argument("--images", type=positive, default=1024)
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1))
    parser.add_argument("--networks", nargs="+", choices=list(_NETWORKS), default=list(_NETWORKS))
    parser.add_argument("--lines", type=Path, help="keeps every round")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        way, network = json.loads(given.measure)
        _measure(way, network, given)
        return 0
    side = given.side
    print(
        f"{circumstances(given.rounds)}, {given.images} images of {side}×{side}, {given.recipe}\n"
    )
    print("| network | MACs | | images/s | convnas : it | images a CPU second | convnas : it |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in given.networks:
        macs = predict(_network(name), Task(3, (side, side), _CLASSES)).macs / 1e6
        found: dict[str, list[Measured]] = {way: [] for way in _WAYS}
        for _, way in itertools.product(range(given.rounds), _WAYS):
            found[way].append(_round(way, name, given))
            if given.lines:
                line = {"network": name, "way": way, **dataclasses.asdict(found[way][-1])}
                with given.lines.open("a") as file:
                    file.write(json.dumps(line) + "\n")
        ours = found["convnas"]
        for way, rounds in found.items():
            cells = [f"{name} | {macs:.1f}M | {way}"]
            for what in ("speed", "cpu"):
                values = [getattr(one, what) for one in rounds]
                ratios = [getattr(a, what) / b for a, b in zip(ours, values, strict=True)]
                cells += [spread(values, 0), spread(ratios, 2) if way != "convnas" else ""]
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
