"""Trains the networks of the table: the space `mixed` on a part of CIFAR-10 at 16×16 pixels.

    uv run python -m benchmarks.tabular.train --images PATH --minutes 90

PATH holds CIFAR-10 as image files, in class folders under `train` and `test`. Every training is a
line of the result, which begins with the project's table, so the same command goes on where it was
stopped. It goes on for as long as it is told to; more networks make a better table.

Of 2,560 training images every network sees nine epochs of the search's recipe, and after each its
accuracy on 2,000 validation images is taken. The first networks are uniform (one type everywhere);
then a random one, its MACs drawn on a log scale, alternates with a mutant of a member of the best
two fronts so far, as a search comes to propose them. Every fourth has three seeds.
"""

import dataclasses
import gzip
import json
import math
import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_space.cli import Parser, positive, run
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.skeletons import read_architecture
from nas_space.spaces.space import Space
from studies.pareto.front import front
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import Images, SearchData
from trainers.recipes import RECIPES
from trainers.training import Trainer, TrainingDivergedError, evaluate

TABLE = Path(__file__).with_name("cifar10.jsonl.gz")
SIDE, TRAIN, VAL, EPOCHS = 16, 2560, 2000, 9
MOST_MACS = 40_000_000
SEEDS, SEEDED_EVERY = 3, 4
TASK = Task(3, (SIDE, SIDE), 10)
_UNIFORM_DEPTH, _UNIFORM_WIDTHS = "2", 5
_DRAWS, _MUTATIONS = 12, 4


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network of the table, as `front` wants it."""

    labels: dict[str, str]
    val_accuracy: float | None
    cost: float


@cache
def data(images: str) -> SearchData:
    """The part of CIFAR-10 that is trained and validated on."""
    whole = load(images, image_size=SIDE).search
    train, val = _part(whole.train, TRAIN), _part(whole.val, VAL)
    return dataclasses.replace(whole, train=train, val=val)


def _part(images: Images, count: int) -> Images:
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    return Images(images.pixels[chosen], images.labels[chosen])


def train(images: str, text: str, seed: int) -> dict[str, Any]:
    """A line of the table: validation accuracy after each epoch, or the reason of failure."""
    torch.set_num_threads(1)
    split = data(images)
    device = devices.best(SIDE)
    recipe = dataclasses.replace(RECIPES.get("quick@1"), epochs=EPOCHS)
    architecture = read_architecture(json.loads(text))
    network = build(architecture, TASK.channels, TASK.classes, seed=seed)
    accuracies: list[float] = []

    def look(_epoch: int, _loss: float) -> None:
        accuracies.append(evaluate(network, split.val, split, device=device))

    start = time.perf_counter()
    try:
        loss = Trainer(split, recipe, device).train(network, seed=seed, on_epoch=look).train_loss
    except TrainingDivergedError as error:
        return {"seed": seed, "error": str(error)}
    seconds = time.perf_counter() - start
    return {
        "seed": seed,
        "accuracies": accuracies,
        "loss": round(loss, 5),
        "seconds": round(seconds, 2),
        "device": device.name,
    }


class Proposals:
    """Which network comes next.

    Args:
        known: the lines so far.
    """

    def __init__(self, space: Space, known: list[dict[str, Any]]) -> None:
        self._space = space
        self._trained: list[Trained] = []
        self._seen: set[str] = set()
        for line in known:
            self.learn(line)

    def learn(self, line: dict[str, Any]) -> None:
        """Take in a line."""
        architecture = read_architecture(line["architecture"])
        self._seen.add(architecture.key)
        labels = self._space.encode(architecture)
        if "accuracies" in line and labels is not None and line["seed"] == 0:
            accuracy = line["accuracies"][-1]
            self._trained.append(Trained(labels, accuracy, line["macs"]))

    def network(self, number: int) -> Architecture:
        """The network of that number, unseen."""
        chance = random.Random(number)
        uniform = list(self._uniform())
        if number < len(uniform):
            self._seen.add(uniform[number].key)
            return uniform[number]
        while True:
            found = self._mutant(chance) if number % 2 and self._trained else self._drawn(chance)
            if found.key not in self._seen and predict(found, TASK).macs <= MOST_MACS:
                self._seen.add(found.key)
                return found

    def _uniform(self) -> Iterator[Architecture]:
        for position in range(_UNIFORM_WIDTHS):
            for kind in self._space.kinds:
                labels = {p.name: p.labels[len(p.labels) // 2] for p in self._space.parameters}
                for parameter in self._space.parameters:
                    if parameter.name.endswith("width"):
                        labels[parameter.name] = parameter.labels[position]
                    elif parameter.name.endswith("depth"):
                        labels[parameter.name] = _UNIFORM_DEPTH
                    elif not parameter.name.endswith("setting"):
                        labels[parameter.name] = kind
                yield self._space.decode(labels)

    def _drawn(self, chance: random.Random) -> Architecture:
        least = predict(self._space.smallest(TASK), TASK).macs
        target = chance.uniform(math.log(least), math.log(MOST_MACS))
        drawn = [
            self._space.decode({p.name: chance.choice(p.labels) for p in self._space.parameters})
            for _ in range(_DRAWS)
        ]
        return min(drawn, key=lambda a: abs(math.log(predict(a, TASK).macs) - target))

    def _mutant(self, chance: random.Random) -> Architecture:
        first = front(self._trained)
        second = front(t for t in self._trained if t not in first)
        labels = dict(chance.choice(first + second).labels)
        for parameter in chance.sample(self._space.parameters, chance.randint(1, _MUTATIONS)):
            labels[parameter.name] = chance.choice(parameter.labels)
        return self._space.decode(labels)


def main() -> int:
    """Train until the time is over."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", required=True, help="CIFAR-10 as image files")
    parser.add_argument("--minutes", type=positive, default=90)
    parser.add_argument("--workers", type=positive, default=1)
    parser.add_argument("--output", type=Path, default=Path("tabular.jsonl"))
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    if not given.output.exists():
        given.output.write_bytes(gzip.decompress(TABLE.read_bytes()))
    known = [json.loads(line) for line in given.output.read_text().splitlines()]
    proposals = Proposals(get("mixed@1"), known)
    number = max((line["number"] for line in known), default=-1) + 1
    waiting: list[tuple[int, Architecture, int]] = []
    running: dict[Future[dict[str, Any]], tuple[int, Architecture]] = {}
    with ProcessPoolExecutor(given.workers) as pool, given.output.open("a") as output:
        while running or time.monotonic() < end:
            while len(running) < given.workers and time.monotonic() < end:
                if not waiting:
                    seeds = SEEDS if number % SEEDED_EVERY == 0 else 1
                    network = proposals.network(number)
                    waiting = [(number, network, seed) for seed in range(seeds)]
                    number += 1
                at, network, seed = waiting.pop(0)
                running[pool.submit(train, given.images, network.text, seed)] = at, network
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                at, network = running.pop(done)
                cost = predict(network, TASK)
                line = {"number": at, "macs": cost.macs, "params": cost.params}
                line |= {"architecture": network.to_json()} | done.result()
                proposals.learn(line)
                output.write(json.dumps(line, separators=(",", ":")) + "\n")
                output.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
