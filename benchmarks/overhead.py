"""What a search costs beside its trials: start-up, and overhead a trial.

    uv run python -m benchmarks.overhead --trials 40 --seconds 0.5 --rounds 3

Trials of known lengths (they sleep; lengths differ by up to a quarter from the mean, as those of
trainings differ, or workers would go in step) run in three ways, one after another, round by round:
by our search with all its parts (Ray, the sampler, SQLite, Optuna's view), by what a competent user
would write with the same libraries (`tune.Tuner` on a function, `OptunaSearch` on SQLite), and in a
bare loop. The first dozen of our networks are chosen without the model. The overhead is how long a
worker's place stays empty from one trial's end to the next one's begin, the median of a search.
Medians over rounds, with the range.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import spread

STACKS = ("convnas", "plain", "loop")
_WEIGHTS = 400_000
"""Bytes of a small network's weights, which a trial returns."""


def log_sleep(log: str, seconds: float) -> None:
    """A trial of about so many seconds that writes down when it began and ended."""
    begin = time.time()
    time.sleep(random.uniform(0.75, 1.25) * seconds)
    with Path(log).open("a", encoding="ascii") as file:
        file.write(f"{begin} {time.time()}\n")


@dataclass(frozen=True)
class Sleep:
    """A job that sleeps."""

    log: str
    seconds: float

    def start(self) -> "Sleep":
        """Nothing to set up."""
        return self

    def __call__(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Sleep, and return what a training would."""
        log_sleep(self.log, self.seconds)
        accuracy = sum(config["architecture"].encode()) % 1000 / 1000
        numbers = {"val_accuracy": accuracy, "train_loss": 0.0, "seconds": self.seconds}
        return numbers | {"device": "none", "start": 0, "weights": bytes(_WEIGHTS)}


def by_convnas(log: str, trials: int, seconds: float, workers: int) -> None:
    """Our search."""
    from searchers.ray.cluster import Cluster  # noqa: PLC0415 - each stack is a process of its own
    from searchers.settings import ClusterOptions, Settings  # noqa: PLC0415
    from searchers.setup import set_up  # noqa: PLC0415

    options = ClusterOptions(concurrency=workers, cpus=0.5)
    settings = Settings(space="mixed", budget=trials, cluster=options, rungs=(6,))
    setup = set_up(settings)
    with Cluster(options, verbose=False) as cluster:
        from searchers.search import search  # noqa: PLC0415

        search(
            settings,
            setup,
            cluster,
            lambda _: None,
            lambda _: None,
            lambda _: None,
            lambda *_: Sleep(log, seconds),
        )


def by_plain(log: str, trials: int, seconds: float, workers: int) -> None:
    """Ray Tune and Optuna as their documentation puts them together."""
    import optuna  # noqa: PLC0415
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    from nas_space.spaces.registry import get  # noqa: PLC0415

    def trial(config: dict[str, Any]) -> None:
        log_sleep(log, seconds)
        tune.report({"accuracy": sum(map(len, config.values())) / 1000, "macs": 1.0})

    ray.init(include_dashboard=False, log_to_driver=False)
    labels: dict[str, optuna.distributions.BaseDistribution] = {
        parameter.name: optuna.distributions.CategoricalDistribution(parameter.labels)
        for parameter in get("mixed").parameters
    }
    sampler = OptunaSearch(
        labels,
        metric=["accuracy", "macs"],
        mode=["max", "min"],
        storage=optuna.storages.RDBStorage("sqlite:///plain.db"),
    )
    tune.Tuner(
        tune.with_resources(trial, {"cpu": 0.5}),
        tune_config=tune.TuneConfig(
            search_alg=sampler, num_samples=trials, max_concurrent_trials=workers
        ),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "results"), verbose=0),
    ).fit()


def by_loop(log: str, trials: int, seconds: float, workers: int) -> None:
    """The bound: nothing but the trials."""
    for _ in range(trials // workers):
        log_sleep(log, seconds)


@dataclass(frozen=True)
class Measured:
    """Seconds: from the command to the first trial's begin, and beside each trial."""

    startup: float
    overhead: float


def measure(stack: str, trials: int, seconds: float, workers: int) -> Measured:
    """Run one stack in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        arguments = json.dumps([str(log), trials, seconds, workers])
        start = time.time()
        command = [sys.executable, "-m", "benchmarks.overhead", "--stack", stack, arguments]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        if stack == "plain":
            environment |= {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        times = [tuple(map(float, line.split())) for line in log.read_text().splitlines()]
    begins, ends = sorted(begin for begin, _ in times), sorted(end for _, end in times)
    places = 1 if stack == "loop" else workers
    gaps = [begin - end for begin, end in zip(begins[places:], ends, strict=False)]
    return Measured(begins[0] - start, statistics.median(gaps))


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a trial")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stacks", nargs="+", default=list(STACKS), choices=STACKS)
    parser.add_argument("--stack", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stack:
        name, arguments = given.stack
        with contextlib.redirect_stdout(sys.stderr):
            stacks = {"convnas": by_convnas, "plain": by_plain, "loop": by_loop}
            stacks[name](*json.loads(arguments))
        return
    found: dict[str, list[Measured]] = {stack: [] for stack in given.stacks}
    for number in range(given.rounds):
        for stack in given.stacks:
            measured = measure(stack, given.trials, given.seconds, given.workers)
            found[stack].append(measured)
            print(f"round {number + 1}, {stack}: {measured}", file=sys.stderr, flush=True)
    print("| stack | overhead a trial, s | start-up, s |\n| --- | --- | --- |")
    for stack, rounds in found.items():
        overheads = spread([m.overhead for m in rounds], 3)
        print(f"| {stack} | {overheads} | {spread([m.startup for m in rounds], 1)} |")
    if {"convnas", "plain"} <= found.keys():
        pairs = list(zip(found["plain"], found["convnas"], strict=True))
        print(
            f"| plain : convnas | {spread([a.overhead / b.overhead for a, b in pairs], 1)} "
            f"| {spread([a.startup / b.startup for a, b in pairs], 1)} |"
        )


if __name__ == "__main__":
    main()
