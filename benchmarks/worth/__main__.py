"""What a search's answer is worth beside the best network that an engineer would scale by hand.

    uv run python -m benchmarks.worth --images CIFAR10 --minutes 60
    uv run python -m benchmarks.worth.table

`CIFAR10` is a folder of image files, train/CLASS and test/CLASS. `--setting digits` needs none, the
folder of `--setting clothes` is made by `benchmarks.worth.clothes`.
Every step is a line of docs/results/worth.jsonl, and the same command continues where it was
stopped:

1. at each level of MACs a search for it (`searchers.run --target LEVEL`; with `--setting fast16` at
   each latency in ONNX Runtime, `--objective latency --target 25us`), on training and
   validation images only; with `--samplers bayes random` also one that draws networks at random,
   their costs spread as those of the first one, with the same budget;
2. every hand-designed family is scaled to the level and trained with two seeds; so are
   the `CANDIDATES` networks of each search of which the model expects most; the best
   `SHORTLISTED` of each side get three further seeds;
3. the best of each side, by its mean validation accuracy, are trained
   with `FRESH_SEEDS` further seeds, and their test accuracy is measured.

`--setting long16` searches nothing: it trains what was found for short16, and all families, on
eight times the images; one seed chooses, and the best three get two more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.worth.runtime import calls, seconds
from benchmarks.worth.setting import (
    AFTER,
    CANDIDATES,
    FRESH_SEEDS,
    SETTINGS,
    SIDES,
    Setting,
    best,
    found_in,
    scaled,
    shortlist,
    sizes,
)
from nas_space.cli import Parser, positive, run
from nas_space.costs.cost import Task, predict
from nas_space.errors import ConvnasError
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.residual.families import Family
from nas_space.spaces.skeletons import read_architecture
from studies.model.accuracy import expected
from studies.records.fidelity import complete
from studies.records.store import Store
from trainers import devices
from trainers.data.registry import load
from trainers.data.splits import Dataset
from trainers.training import Trainer, evaluate

_OUTPUT = Path("docs/results/worth.jsonl")
_FIRST_CHOICE_SEED, _FIRST_FRESH_SEED = 500, 1000
"""None of them is a seed of a search, whose own accuracies flatter what it found."""


_MOST_TIMED = 40
"""Networks of a search, those of which its model expects most, that are timed at each level."""
_MOST_TIMED_MACS = 8_000_000
"""Hand-designed networks of more take longer than any level."""


class SettingError(ConvnasError):
    """A comparison that lacks something."""


class Runner:
    """Trains what is missing, and writes each result at once.

    Args:
        setting: on what, and how.
        images: the data set.
        output: the lines so far, and those to come.
        end: seconds of the monotonic clock at which no training begins any more.
    """

    def __init__(self, setting: Setting, images: str, output: Path, end: float) -> None:
        self._setting, self._images, self._output, self._end = setting, images, output, end
        self._done: dict[str, dict[str, Any]] = {}
        for text in output.read_text().splitlines() if output.exists() else ():
            line = json.loads(text)
            self._done[line["job"]] = line
        self._dataset: Dataset | None = None

    def search(self, macs: int, sampler: str, database: Path) -> list[Architecture]:
        """The networks of a search within these MACs of which its model expects most.

        They are a line, too: later sittings need no database.
        """
        setting = self._setting
        if setting.found_by:
            prefix = f"{setting.found_by}/choice/{macs}/{SIDES[sampler]}/"
            networks = found_in(self._done.values(), prefix)
            if len(networks) < CANDIDATES:
                raise SettingError(
                    f"{setting.name} needs what {setting.found_by} has found at {macs}, in the "
                    f"lines of {self._output}: run --setting {setting.found_by} first"
                )
            return networks
        job = f"{setting.name}/search/{macs}/{sampler}"
        if job in self._done:
            return [read_architecture(network) for network in self._done[job]["networks"]]
        name = f"{setting.name}-{macs}-{sampler}"
        options = {
            "space": setting.space,
            "study": name,
            "dataset": self._images,
            **self._part,
            "epochs": setting.epochs,
            "budget": setting.budget,
            **self._target(macs),
            "sampler": sampler,
            "concurrency": 1,
            "storage": f"sqlite:///{database}",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "searchers.run", *words]
        subprocess.run(command, check=True)
        store = Store(f"sqlite:///{database}", create=False)
        study = store.study(name)
        evaluations = store.evaluations(study)
        means = expected(study, evaluations)
        found = sorted(complete(evaluations, study), key=lambda entry: -means[entry.number])
        networks = [entry.parsed_architecture for entry in found]
        networks = [network for network in networks if network.by_hand is None]
        if setting.timed:
            networks = self.within(networks[:_MOST_TIMED], macs)
        networks = networks[:CANDIDATES]
        self._write({"job": job, "networks": [network.to_json() for network in networks]})
        return networks

    def _target(self, level: int) -> dict[str, object]:
        """What the search is for, as options."""
        if not self._setting.timed:
            return {"target": level}
        command = f"{sys.executable} -m benchmarks.worth.runtime {{model}}"
        return {"objective": "latency", "latency-command": command, "target": f"{level}us"}

    def level(self, macs: int, searched: Mapping[str, list[Architecture]]) -> None:
        """All sides of a level, as far as time allows.

        Args:
            macs: the level.
            searched: what the search by each sampler has found.
        """
        for family in self._setting.families.families:
            network = self._by_hand(family, macs)
            if network is not None:
                self._choice(f"{macs}/hand/{family.name}", network)
        for sampler, networks in searched.items():
            for found in networks:
                self._choice(f"{macs}/{SIDES[sampler]}/{found.key}", found)
        for side in ("hand", *SIDES.values()):
            self._chosen(macs, side)

    def after(self, macs: int) -> None:
        """What may be scaled by hand once a search has shown it, see `AFTER`."""
        for family in AFTER:
            network = scaled(family, macs, self._setting.task)
            if network is not None:
                self._choice(f"{macs}/after/{family.name}", network)
        setting = self._setting
        start = f"{setting.name}/choice/{macs}/after/"
        chosen = best(self._done.values(), start, setting.choice_seeds)
        if chosen is None:
            return
        for seed in range(FRESH_SEEDS):
            job = f"fresh/{macs}/after/{chosen.key}"
            self._train(job, chosen, _FIRST_FRESH_SEED + seed, test=True)

    def _chosen(self, macs: int, side: str) -> None:
        """Choose the network of a side and measure it, if there is time for all of that."""
        setting = self._setting.name
        prefix = f"{setting}/choice/{macs}/{side}/"
        if time.monotonic() > self._end:  # a choice among some of the networks is none
            return
        few, more = self._setting.choice_seeds, self._setting.shortlist_seeds
        for name, network in shortlist(self._done.values(), prefix, few):
            for seed in range(few, few + more):
                job = name.removeprefix(f"{setting}/")
                self._train(job, network, _FIRST_CHOICE_SEED + seed, test=False)
        chosen = best(self._done.values(), prefix, few)
        if chosen is None or time.monotonic() > self._end:
            return
        for seed in range(FRESH_SEEDS):
            name = f"fresh/{macs}/{side}/{chosen.key}"
            self._train(name, chosen, _FIRST_FRESH_SEED + seed, test=True)

    def _by_hand(self, family: Family, level: int) -> Architecture | None:
        """The network of a family that an engineer would take within a level."""
        task = self._setting.task
        if not self._setting.timed:
            return scaled(family, level, task)
        within = self.within([n for n in sizes(family) if _small(n, task)], level)
        return max(within, key=lambda network: predict(network, task).macs, default=None)

    def within(self, networks: Sequence[Architecture], level: int) -> list[Architecture]:
        """Those that take at most so many microseconds in ONNX Runtime, in their order."""
        names = {network.key: f"{self._setting.name}/latency/{network.key}" for network in networks}
        left = [network for network in networks if names[network.key] not in self._done]
        if left:
            with tempfile.TemporaryDirectory() as folder:
                taken = seconds(calls(left, self._setting.task, Path(folder)))
            for network, found in zip(left, taken, strict=True):
                self._write({"job": names[network.key], "us": round(1e6 * found, 2)})
        return [n for n in networks if self._done[names[n.key]]["us"] <= level]

    def _write(self, line: dict[str, Any]) -> None:
        self._done[line["job"]] = line
        with self._output.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _choice(self, name: str, network: Architecture) -> None:
        for seed in range(self._setting.choice_seeds):
            self._train(f"choice/{name}", network, _FIRST_CHOICE_SEED + seed, test=False)

    @property
    def _part(self) -> dict[str, int]:
        """What of a folder's images is used, as options of a search."""
        setting = self._setting
        if setting.subset is None:
            return {}
        return {"image-size": setting.side, "subset": setting.subset}

    @property
    def _data(self) -> Dataset:
        if self._dataset is None:
            part = self._part
            side, subset = part.get("image-size"), part.get("subset")
            self._dataset = load(self._images, image_size=side, subset=subset)
        return self._dataset

    def _train(self, name: str, network: Architecture, seed: int, *, test: bool) -> None:
        job = f"{self._setting.name}/{name}/{seed}"
        if job in self._done or time.monotonic() > self._end:
            return
        setting, data = self._setting, self._data
        device, task = devices.best(setting.side), setting.task
        module = build(network, task.channels, task.classes, seed=seed)
        outcome = Trainer(data.search, setting.recipe, device).train(module, seed=seed)
        line: dict[str, Any] = {
            "job": job,
            "val": outcome.val_accuracy,
            "macs": predict(network, task).macs,
            "params": predict(network, task).params,
            "seconds": round(outcome.seconds, 1),
            "architecture": network.to_json(),
        }
        if test:
            line["test"] = evaluate(module, data.open_test(), data.search, device=device)
        if setting.timed:
            line["us"] = self._done[f"{setting.name}/latency/{network.key}"]["us"]
        self._write(line)
        print(job, f"{outcome.val_accuracy:.2%}", flush=True)


def _small(network: Architecture, task: Task) -> bool:
    return predict(network, task).macs <= _MOST_TIMED_MACS


def main() -> int:
    """Train until the time is over."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="CIFAR-10, or for clothes Fashion-MNIST, as image files")
    parser.add_argument("--setting", choices=SETTINGS, default="short16")
    parser.add_argument("--minutes", type=positive, default=60)
    parser.add_argument("--output", type=Path, default=_OUTPUT)
    parser.add_argument("--database", type=Path, help="the search's (default: beside the output)")
    parser.add_argument(
        "--levels", type=int, nargs="+", help="of MACs, or microseconds of fast16 (default: all)"
    )
    parser.add_argument(
        "--after", action="store_true", help="no search: MobileNetV2 of blueprint, scaled by hand"
    )
    parser.add_argument("--samplers", choices=SIDES, nargs="+", default=["bayes"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.after and SETTINGS[given.setting].timed:
        parser.error(f"--after is for levels of MACs, and {given.setting} has latencies")
    setting = SETTINGS[given.setting]
    images = setting.dataset or given.images
    if images is None:
        parser.error(f"--setting {setting.name} needs --images, a folder of image files")
    end = time.monotonic() + 60 * given.minutes
    runner = Runner(setting, images, given.output, end)
    database = (given.database or given.output.with_suffix(".db")).absolute()
    for macs in given.levels or setting.levels:
        if time.monotonic() < end and given.after:
            runner.after(macs)
        elif time.monotonic() < end:
            found = {name: runner.search(macs, name, database) for name in given.samplers}
            runner.level(macs, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
