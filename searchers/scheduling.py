"""Ray Tune, reduced to what it is good at: placing trials on warm workers and watching them.

The stock `OptunaSearch` tells early-stopped and NaN trials wrongly and pays seconds a trial
(docs/decisions/0001), so proposals and records stay with the `Campaign`.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, cast

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

import nas_space
import searchers
import studies
import trainers
from searchers.campaign import Answer, Campaign
from searchers.proposals import Proposal
from searchers.worker import Worker
from trainers.data import SearchData
from trainers.recipes import Recipe

INTERRUPT = "interrupted"
"""Why a campaign ended that the user stopped."""
_GPU_SHARE = 0.25
"""Small networks leave most of a GPU idle: four trials share one unless the user says otherwise."""


_SMALLEST_SHARE = 0.001
"""Of a CPU or GPU; Ray counts in ten-thousandths."""
_KNOCK_SECONDS = 10.0
_PORTS = 2**16


class ClusterError(ValueError):
    """A Ray cluster that cannot be reached, or that cannot run a single trial."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says about where trials run; None leaves it to the cluster found.

    Attributes:
        address: of an existing Ray cluster; None starts one on this machine.
        concurrency: trials at a time.
        cpus: cores a trial; a fraction lets trials share a core.
        gpus: GPUs a trial; a fraction lets trials share one.
    """

    address: str | None = None
    concurrency: int | None = None
    cpus: float | None = None
    gpus: float | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What a trial gets, and how many trials run at a time."""

    concurrency: int
    cpus: float
    gpus: float


@contextlib.contextmanager
def cluster(wishes: Wishes, *, verbose: bool) -> Iterator[Resources]:
    """A Ray cluster: the one at the address, or one of our own that ends with the context.

    Raises:
        ClusterError: it cannot be reached, or is too small for a trial.
    """
    # Another machine has no checkout of ours: Ray ships the packages.
    packages: list[ModuleType] = [nas_space, trainers, studies, searchers]
    folders = [str(Path(str(package.__file__)).parent) for package in packages]
    # "local": not the cluster that RAY_ADDRESS or a running `ray start` would offer.
    local = {"address": "local", "num_cpus": _cores(), "include_dashboard": False}
    remote = {"address": wishes.address, "runtime_env": {"py_modules": folders}}
    try:
        ray.init(
            **(local if wishes.address is None else remote),
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.CRITICAL,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"at {wishes.address}" if wishes.address else "on this machine"
        reason = str(error).strip().splitlines()[0]
        raise ClusterError(f"no Ray cluster {where}: {reason}") from None
    try:
        yield plan(wishes, ray.cluster_resources())  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Knock at a cluster's door: Ray itself would try a dead address for minutes.

    Raises:
        ClusterError: it is no HOST:PORT, or nobody answers there.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port[:6]) < _PORTS:
        raise ClusterError(f"--address must be HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address}: {error.strerror or error}; start one there with "
            "`ray start --head`, or leave --address out"
        ) from None


def check_local(wishes: Wishes) -> None:
    """Raise ClusterError if this machine is too small for a single trial."""
    plan(wishes, {"CPU": float(_cores()), "GPU": float(torch.cuda.device_count())})


def _cores() -> int:
    # Only Linux tells which cores this process may use.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def plan(wishes: Wishes, have: Mapping[str, float]) -> Resources:
    """Fill in what the user left open, from the CPUs and GPUs that there are.

    Raises:
        ClusterError: not even one trial fits.
    """
    cpus_there, gpus_there = have.get("CPU", 0.0), have.get("GPU", 0.0)
    gpus = wishes.gpus if wishes.gpus is not None else (_GPU_SHARE if gpus_there else 0.0)
    cpus = wishes.cpus
    if cpus is None:
        crowded = wishes.concurrency is not None and wishes.concurrency > cpus_there
        cpus = cpus_there / wishes.concurrency if crowded and wishes.concurrency else 1.0
    if 0 < cpus < _SMALLEST_SHARE or 0 < gpus < _SMALLEST_SHARE or (gpus > 1 and gpus % 1):
        raise ClusterError(
            f"a trial cannot have {cpus:g} CPUs and {gpus:g} GPUs: shares are at least "
            f"{_SMALLEST_SHARE}, and more than one GPU is a whole number of them"
        )
    for what, wanted, there in (("CPU", cpus, cpus_there), ("GPU", gpus, gpus_there)):
        if wanted > there:
            raise ClusterError(
                f"a trial wants {wanted:g} {what}s but there are {there:g}; "
                f"lower --{what.lower()}s-per-trial"
            )
    fitting = [
        there / wanted for wanted, there in ((cpus, cpus_there), (gpus, gpus_there)) if wanted
    ]
    most = max(1, int(min(fitting) + 1e-9)) if fitting else wishes.concurrency or 1
    return Resources(min(wishes.concurrency or most, most), cpus, gpus)


def run_trials(
    campaign: Campaign, data: SearchData, recipe: Recipe, resources: Resources, *, verbose: bool
) -> None:
    """Run trials until the campaign is over.

    The first Ctrl-C lets the running trials finish, the second ends at once (KeyboardInterrupt).

    Raises:
        StoreError: the database failed.
        KeyboardInterrupt: the user, or SIGTERM, wanted it to end now.
    """
    threads = max(1, int(resources.cpus))
    # By default Ray Tune starts the workers one after another, seconds apart.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.concurrency)
    shared = tune.with_parameters(Worker, data=data, recipe=recipe, threads=threads)
    trainable = tune.with_resources(shared, {"cpu": resources.cpus, "gpu": resources.gpus})
    books = _Books(campaign)
    logging.getLogger("ray.tune").setLevel(logging.INFO if verbose else logging.CRITICAL)
    # What Ray Tune writes is not the record: it goes when the search ends.
    with tempfile.TemporaryDirectory(prefix="convnas-") as scratch, _graceful_stop(campaign):
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_Proposals(books), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                callbacks=[_Records(books)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except Exception:
            if books.error is not None:
                raise books.error from None
            raise


class _Books:
    """The campaign as Ray's hooks use it, with the first error that it raised.

    Ray wraps an error in its own, as text. And it pickles what it is given, to resume from it; we
    resume from the database.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    @contextlib.contextmanager
    def open(self) -> Iterator[Campaign]:
        try:
            yield self.campaign
        except Exception as error:
            self.error = self.error or error
            raise


class _Proposals(Searcher):
    """What Ray Tune asks for configurations."""

    def __init__(self, books: _Books) -> None:
        super().__init__()
        self._books = books

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A configuration; None to be asked again, or Ray's FINISHED."""
        with self._books.open() as campaign:
            answer = campaign.next(trial_id)
        if isinstance(answer, Proposal):
            return {"architecture": answer.architecture.text, "seed": campaign.seed}
        # Ray's contract is a dict, None, or this string.
        return cast("None", Searcher.FINISHED) if answer is Answer.OVER else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: `_Records` has seen the result, with the weights that Ray must not keep."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the database is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the database is the state."""


class _Records(tune.Callback):
    """What Ray Tune tells results and failures."""

    def __init__(self, books: _Books) -> None:
        self._books = books

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
        **_: object,
    ) -> None:
        """Record a result, and keep the weights out of Ray's own state."""
        with self._books.open() as campaign:
            campaign.finish(trial.trial_id, result)
        result.pop("weights", None)

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Record a trial whose worker died."""
        with self._books.open() as campaign:
            campaign.fail(trial.trial_id, _reason(trial))


def _reason(trial: Trial) -> str:
    """Why Ray gave a trial up, in one line: the last of a traceback, else the first."""
    # Ray's own accessors look in its storage, where the file will be later. Its first line is a
    # headline with the time.
    path = trial.error_file
    text = Path(path).read_text(encoding="utf-8") if path and Path(path).is_file() else ""
    lines = [line.strip() for line in text.splitlines()[1:] if line.strip()]
    if not lines:
        return "WorkerDied: no reason is known"
    if "Error: " in lines[-1]:
        return lines[-1][:500]
    return f"WorkerDied: {lines[0][:480]}"


@contextlib.contextmanager
def _graceful_stop(campaign: Campaign) -> Iterator[None]:
    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if campaign.over_because is not None:
            raise KeyboardInterrupt
        campaign.stop(INTERRUPT)
        print(  # noqa: T201 - the answer to Ctrl-C
            "\nstopping once the running trials have finished; Ctrl-C again to stop now",
            file=sys.stderr,
        )

    def on_terminate(_signal: int, _frame: FrameType | None) -> None:
        campaign.stop("terminated")
        raise KeyboardInterrupt

    old = {
        signal.SIGINT: signal.signal(signal.SIGINT, on_interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_terminate),
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
