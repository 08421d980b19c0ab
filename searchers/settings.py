"""All settings of a search that a user can make."""

from dataclasses import dataclass, field
from pathlib import Path

from searchers.limits import Limits
from searchers.samplers.registry import DEFAULT as DEFAULT_SAMPLER
from studies.arguments import default_url
from studies.objective import MACS
from studies.runtimes import DEFAULT_RUNTIME
from trainers.data.reading import MAX_PIXELS
from trainers.recipes import DEFAULT_METRIC, NO_BALANCE

START_SECONDS = 600
"""How long a worker may take to start; on a network drive it may be minutes."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where trials run; None takes what the cluster offers.

    Attributes:
        address: of an existing Ray cluster; None starts one on this machine.
        concurrency: trials at a time.
        cpus: cores per trial; with a fraction, trials share a core.
        gpus: GPUs per trial; with a fraction, trials share one.
    """

    address: str | None = None
    concurrency: int | None = None
    cpus: float | None = None
    gpus: float | None = None


_NO_LIMITS = Limits()
_ANYWHERE = ClusterOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a search that a user can make; the command line documents each.

    Attributes:
        pretrained: whether a backbone brings its weights.
        study: its name; None makes one of the space, data set, recipe and seed.
        max_pixels: of an image file.
        subset: training images; None takes all.
        val_subset: validation images of a subset; None takes as many as training images.
        flip: whether to train on mirror images too, if the data set allows it.
        objective: the cost that is made small, see `studies.objective`.
        target: the cost, in the objective's unit, that the search is about; None is all costs.
        latency_command: measures a network on a device of the user, see
            `searchers.latency.device`; None means this machine.
        runtime: in which latencies are measured, a name of `studies.runtimes.RUNTIMES`.
        latency_threads: that it computes with; None leaves that to the runtime.
        latency_batch: images at a time, for latencies.
        device: that must run each network: the name of a profile or a file, see
            `nas_space.devices`; None is any.
        metric: what is made large, a name of `trainers.metrics.METRICS`.
        balance: what makes up for classes of different sizes, one of `trainers.recipes.BALANCES`.
        evaluate: the user's function that judges networks, see `trainers.evaluators`; None trains
            by the recipe and measures accuracy.
        epochs: of the recipe; None leaves the recipe's own.
        rungs: epochs after which only the best go on, the last those of a full training; None
            derives them from the recipe.
        trial_timeout: seconds that a trial may take; None derives them from the first trials.
        start_timeout: seconds that a worker may take to start.
        command: the command line, for the record.
    """

    space: str
    budget: int
    pretrained: bool = False
    dataset: str = "digits"
    image_size: int | None = None
    max_pixels: int = MAX_PIXELS
    subset: int | None = None
    val_subset: int | None = None
    flip: bool = True
    data_dir: Path | None = None
    recipe: str = "quick"
    metric: str = DEFAULT_METRIC
    balance: str = NO_BALANCE
    evaluate: str | None = None
    epochs: int | None = None
    rungs: tuple[int, ...] | None = None
    sampler: str = DEFAULT_SAMPLER
    seed: int = 0
    study: str | None = None
    storage: str = field(default_factory=default_url)
    limits: Limits = _NO_LIMITS
    objective: str = MACS.name
    target: float | None = None
    latency_command: str | None = None
    runtime: str = DEFAULT_RUNTIME
    latency_threads: int | None = None
    latency_batch: int = 1
    device: str | None = None
    cluster: ClusterOptions = _ANYWHERE
    trial_timeout: float | None = None
    start_timeout: float = START_SECONDS
    verbose: bool = False
    command: str = ""
