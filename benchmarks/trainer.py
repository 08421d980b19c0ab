"""Images a second of our training loop against the usual DataLoader loop.

    uv run python -m benchmarks.trainer --rounds 5
    uv run python -m benchmarks.trainer --rounds 3 --dataset ~/cifar --images 4000 --accuracy

Each measurement is a process of its own on one core with one thread, as a search's trials are; the
two loops and the networks take turns. Images are random unless a folder is given: the speed does
not depend on them. With --accuracy the validation accuracy after so many --epochs is told as well
(on standard error), and the seconds it took. With --sharing the question is how to share two cores:
two of our trainings with one thread each, or one with two.
"""

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.tables import circumstances, spread
from nas_space.convs import parse
from nas_space.costs.cost import Task, predict
from nas_space.spaces.residual import ResidualArchitecture, Stage
from trainers.data.splits import SearchData, Subset
from trainers.recipes import RECIPES

LOOPS = ("convnas", "plain")
_RESNET = tuple(Stage(width, ((parse("regular"),) * 2,) * 3) for width in (16, 32, 64))
_MIXED = (
    Stage(16, ((parse("octave(alpha=0.25)"), parse("xception")),)),
    Stage(32, ((parse("igc(L=8,M=4)"), parse("deep_roots(groups=4)")),)),
    Stage(64, ((parse("regular"), parse("igcv2(K1=1,K2=8,K3=8)")),)),
)
NETWORKS = {
    "ResNet-20": ResidualArchitecture(_RESNET),
    "small mixed": ResidualArchitecture(_MIXED),
}


def read(dataset: str | None, images: int) -> SearchData:
    """The folder's images, or random ones of CIFAR's size."""
    import numpy as np  # noqa: PLC0415 - threads are set before

    from trainers.data.registry import load  # noqa: PLC0415
    from trainers.data.splits import make_dataset  # noqa: PLC0415

    if dataset is not None:
        return load(dataset, subset=Subset.earlier(images)).search
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (images * 2, 32, 32, 3), dtype=np.uint8)
    labels = {"train": np.arange(images * 2) % 10}
    names = tuple(map(str, range(10)))
    made = make_dataset(
        "random",
        names,
        labels,
        lambda _, positions: pixels[positions],
        flip=True,
        subset=Subset.earlier(images),
    )
    return made.search


def measure(
    loop: str, network: str, dataset: str | None, images: int, epochs: int, threads: int
) -> None:
    """Train, and print the seconds of each epoch but the first, and the accuracy, as JSON."""
    import torch  # noqa: PLC0415

    from nas_space.spaces.building import build  # noqa: PLC0415

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    data = read(dataset, images)
    recipe = dataclasses.replace(RECIPES.get("quick"), epochs=epochs)
    module = build(NETWORKS[network], data.shape[0], len(data.classes))
    if loop == "plain":
        from benchmarks import plain  # noqa: PLC0415

        trained = plain.train(module, data, recipe)
        seconds, accuracy = list(trained.epoch_seconds), trained.val_accuracy
    else:
        import time  # noqa: PLC0415

        from trainers import devices  # noqa: PLC0415
        from trainers.training import Trainer  # noqa: PLC0415

        marks = [time.perf_counter()]
        trainer = Trainer(data, recipe, devices.best(min(data.shape[1:])))
        outcome = trainer.train(
            module, seed=0, on_epoch=lambda *_: marks.append(time.perf_counter())
        )
        seconds = [after - before for before, after in itertools.pairwise(marks)]
        accuracy = outcome.val_accuracy
    steps = len(data.train) // recipe.batch(len(data.train))
    trained_images = steps * recipe.batch(len(data.train))
    rest = seconds[1:] or seconds
    speed = trained_images / statistics.median(rest)
    print(json.dumps({"speed": speed, "seconds": sum(seconds), "accuracy": accuracy}))


def start(
    loop: str, network: str, given: argparse.Namespace, cores: set[int]
) -> subprocess.Popen[str]:
    """Begin to measure in a process on these cores, a thread on each."""
    arguments = [loop, network, given.dataset, given.images, given.epochs, len(cores)]
    command = [sys.executable, "-m", "benchmarks.trainer", "--measure", json.dumps(arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": str(len(cores))}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, cores)
    return process


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a process has measured."""
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def print_sharing(given: argparse.Namespace) -> None:
    """The table of images a second of two cores, shared in two ways."""
    print("| network | 1 training, 2 threads | 2 trainings, 1 thread each | 2 × 1 : 1 × 2 |")
    print("| --- | --- | --- | --- |")
    for name in given.networks:
        one, two = list[float](), list[float]()
        for _ in range(given.rounds):
            one.append(result(start("convnas", name, given, {0, 1}))["speed"])
            pair = [start("convnas", name, given, {core}) for core in (0, 1)]
            two.append(sum(result(process)["speed"] for process in pair))
        ratios = [b / a for a, b in zip(one, two, strict=True)]
        print(f"| {name} | {spread(one, 0)} | {spread(two, 0)} | {spread(ratios, 2)} |", flush=True)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dataset", help="a folder of images; random ones if left out")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--sharing", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*json.loads(given.measure))
        return
    if given.dataset:
        given.dataset = str(Path(given.dataset).expanduser().resolve())
    print(circumstances(given.rounds) + f", {given.images} images, {given.epochs} epochs\n")
    if given.sharing:
        print_sharing(given)
        return
    print("| network | MACs | plain, images/s | convnas, images/s | convnas : plain |")
    print("| --- | --- | --- | --- | --- |")
    for name in given.networks:
        found: dict[str, list[dict[str, float]]] = {loop: [] for loop in LOOPS}
        for _ in range(given.rounds):
            for loop in LOOPS:
                found[loop].append(result(start(loop, name, given, {given.core})))
        speeds = {loop: [each["speed"] for each in rounds] for loop, rounds in found.items()}
        ratios = [a / b for a, b in zip(speeds["convnas"], speeds["plain"], strict=True)]
        macs = predict(NETWORKS[name], Task(3, (32, 32), 10)).macs / 1e6
        print(
            f"| {name} | {macs:.1f}M | {spread(speeds['plain'], 0)} "
            f"| {spread(speeds['convnas'], 0)} | {spread(ratios, 2)} |",
            flush=True,
        )
        if given.accuracy:
            for loop, rounds in found.items():
                accuracy = spread([100 * each["accuracy"] for each in rounds], 1)
                seconds = spread([each["seconds"] for each in rounds], 1)
                print(f"{name}, {loop}: validation {accuracy} % in {seconds} s", file=sys.stderr)


if __name__ == "__main__":
    main()
