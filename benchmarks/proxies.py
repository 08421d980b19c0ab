"""Which short training ranks networks as a long one does?

    uv run python -m benchmarks.proxies --images CIFAR10 --minutes 120
    uv run python -m benchmarks.proxies --table

`CIFAR10` is a folder of image files, train/CLASS and test/CLASS, here at 16×16. Some networks,
every other one scaled by hand and the others random ones of `mixed`, are spread over .1M to 6M
MACs. Each is trained by the recipe `full` on all images, and by every short training of
`PROXIES`, with one seed. Lines go to docs/results/proxies.jsonl; the same command continues where
it was stopped. The table says how well each short training ranks them (Kendall's τ with the long
one, of all and within thirds by MACs) and which share of its time it takes.
"""

import argparse
import dataclasses
import itertools
import json
import math
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nas_space.cli import Parser, positive, run
from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from searchers.latency.fitting import kendall
from trainers import devices
from trainers.data.registry import load
from trainers.recipes import RECIPES
from trainers.training import Trainer

NETWORKS = 40
PROXIES = {
    "5,000 images, 9 epochs": ("quick", 5_000, 9),
    "5,000 images, 27 epochs": ("quick", 5_000, 27),
    "15,000 images, 3 epochs": ("quick", 15_000, 3),
    "all images, 1 epoch": ("quick", None, 1),
    "all images, 3 epochs": ("quick", None, 3),
}
_LONG = ("full", None, 60)
_SIDE_PIXELS = 16
_LEAST_MACS, _MOST_MACS = 1e5, 6e6
_DRAWS = 200
_TASK = Task(3, (_SIDE_PIXELS, _SIDE_PIXELS), 10)
_OUTPUT = Path("docs/results/proxies.jsonl")


def networks() -> Iterator[Architecture]:
    """The networks, cheap and dear ones in turn."""
    space, chance = get("mixed"), random.Random(0)
    by_hand = list(space.by_hand())
    seen = set[str]()
    steps = sorted(range(NETWORKS), key=lambda at: (at * 7) % NETWORKS)
    for number, step in enumerate(steps):
        cost = _LEAST_MACS * (_MOST_MACS / _LEAST_MACS) ** (step / (NETWORKS - 1))
        drawn = [
            space.decode({p.name: chance.choice(p.labels) for p in space.parameters})
            for _ in range(_DRAWS)
        ]
        some = chance.sample(by_hand, len(by_hand) // 4) if number % 2 else drawn
        fresh = [network for network in some if network.key not in seen]
        nearest = min(fresh, key=lambda a: abs(math.log(predict(a, _TASK).macs / cost)))
        seen.add(nearest.key)
        yield nearest


def main() -> int:
    """Train, or print the table."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="CIFAR-10 as image files")
    parser.add_argument("--minutes", type=positive, default=120)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--table", action="store_true", help="print what is known")
    given = parser.parse_args()
    texts = given.output.read_text().splitlines() if given.output.exists() else []
    lines = [json.loads(text) for text in texts]
    if given.table or given.images is None:
        print(_table(lines))
        return 0
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * given.minutes
    done = {(line["key"], line["training"]) for line in lines}
    ways = {"long": _LONG, **PROXIES}
    trainers: dict[str, Trainer] = {}
    for network, (name, (recipe, subset, epochs)) in itertools.product(networks(), ways.items()):
        if (network.key, name) in done:
            continue
        if time.monotonic() > end:
            break
        if name not in trainers:
            data = load(given.images, image_size=_SIDE_PIXELS, subset=subset).search
            whole = load(given.images, image_size=_SIDE_PIXELS).search
            # All are measured on the same validation images.
            data = dataclasses.replace(data, val=whole.val)
            how = dataclasses.replace(RECIPES.get(recipe), epochs=epochs)
            trainers[name] = Trainer(data, how, devices.best(_SIDE_PIXELS))
        outcome = trainers[name].train(build(network, 3, 10, seed=0), seed=0)
        line: dict[str, Any] = {
            "key": network.key,
            "training": name,
            "val": outcome.val_accuracy,
            "macs": predict(network, _TASK).macs,
            "seconds": round(outcome.seconds, 1),
            "architecture": network.to_json(),
        }
        with given.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(name, network.key, f"{outcome.val_accuracy:.2%}", flush=True)
    return 0


def _table(lines: list[dict[str, Any]]) -> str:
    long = {line["key"]: line for line in lines if line["training"] == "long"}
    rows = ["| training | networks | τ | within thirds by MACs | time / that of the long one |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for name in PROXIES:
        found = [line for line in lines if line["training"] == name and line["key"] in long]
        found.sort(key=lambda line: float(line["macs"]))
        if len(found) < 6:  # noqa: PLR2004 - two in each third
            continue
        cuts = [round(len(found) * part / 3) for part in range(4)]
        thirds = [_tau(found[a:b], long) for a, b in itertools.pairwise(cuts)]
        share = statistics.mean(line["seconds"] / long[line["key"]]["seconds"] for line in found)
        told = ", ".join(f"{tau:.2f}" for tau in thirds)
        rows.append(f"| {name} | {len(found)} | {_tau(found, long):.2f} | {told} | {share:.3f} |")
    return "\n".join(rows)


def _tau(found: list[dict[str, Any]], long: dict[str, dict[str, Any]]) -> float:
    return kendall([line["val"] for line in found], [long[line["key"]]["val"] for line in found])


if __name__ == "__main__":
    raise SystemExit(main())
