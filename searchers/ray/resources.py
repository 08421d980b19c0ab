"""What a trial gets of a cluster, and how many trials fit on its machines."""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nas_space.errors import ConvnasError
from searchers.settings import ClusterOptions

_GPUS_PER_TRIAL = 0.25
"""Small networks leave most of a GPU idle, so four trials share one by default."""
_LEAST_CPUS_OR_GPUS = 0.001
"""Least share of a trial that is not 0; Ray counts in ten-thousandths."""

Machine = Mapping[str, float]
"""What a machine has: Ray's names of resources, and how much there is."""


class ClusterError(ConvnasError):
    """A Ray cluster that cannot be reached, or on which no trial can run."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and GPUs of a trial, how many trials run at a time, and whether all run here."""

    concurrency: int
    cpus: float
    gpus: float
    here: bool = True

    def fit(self, machine: Machine) -> int:
        """How many trials a machine can take; a trial is never spread over two.

        A trial that needs nothing fits as often as there may be trials.
        """
        fitting = [
            machine.get(what, 0.0) / wanted
            for what, wanted in (("CPU", self.cpus), ("GPU", self.gpus))
            if wanted
        ]
        return int(min(fitting) + 1e-9) if fitting else self.concurrency

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPUs" * bool(self.gpus)
        return f"{self.cpus:g} CPUs{gpus}"


def cpus_for(options: ClusterOptions, cores: int, gpus: int) -> int:
    """How many CPUs to give Ray: it starts a process of half a gigabyte for each.

    On a machine with GPUs trials share the GPUs, and most cores have nothing to do.
    """
    try:
        planned = resources_for(options, {"CPU": float(cores), "GPU": float(gpus)})
    except ClusterError:  # Ray may find more GPUs, or will say the same
        return cores
    wanted = max(planned.concurrency, math.ceil(planned.concurrency * planned.cpus))
    return min(cores, wanted)


def resources_for(options: ClusterOptions, *machines: Machine) -> Resources:
    """What a trial gets: as the user says, the rest from the CPUs and GPUs that there are.

    Args:
        options: of the user.
        machines: of the cluster.

    Raises:
        ClusterError: not even one trial fits.
    """
    cpus_there, gpus_there = (
        [machine.get(what, 0.0) for machine in machines] for what in ("CPU", "GPU")
    )
    gpus = options.gpus if options.gpus is not None else _GPUS_PER_TRIAL * any(gpus_there)
    cpus = options.cpus
    if cpus is None:
        crowded = options.concurrency is not None and options.concurrency > sum(cpus_there)
        cpus = _share(cpus_there, options.concurrency) if crowded and options.concurrency else 1.0
    if 0 < cpus < _LEAST_CPUS_OR_GPUS or 0 < gpus < _LEAST_CPUS_OR_GPUS or (gpus > 1 and gpus % 1):
        raise ClusterError(
            f"a trial cannot have {cpus:g} CPUs and {gpus:g} GPUs: shares are at least "
            f"{_LEAST_CPUS_OR_GPUS}, and more than one GPU is a whole number of them"
        )
    asked = options.concurrency
    wanted = Resources(asked or 1, cpus, gpus, options.address is None)
    most = max(asked or 1, 1) if not cpus and not gpus else sum(map(wanted.fit, machines))
    if most == 0:
        raise ClusterError(_too_small(wanted, cpus_there, gpus_there))
    return Resources(min(asked or most, most), cpus, gpus, wanted.here)


def _share(cpus: Sequence[float], trials: int) -> float:
    """The most CPUs that so many trials can have each, if none is spread over two machines."""
    if sum(cpus) / trials < _LEAST_CPUS_OR_GPUS:
        return sum(cpus) / trials
    # A machine that takes n trials gives each its n-th part: the parts, in descending order.
    parts = [(-there, there, 1) for there in cpus if there]
    heapq.heapify(parts)
    for _ in range(trials - 1):
        _, there, taken = parts[0]
        heapq.heapreplace(parts, (-there / (taken + 1), there, taken + 1))
    return -parts[0][0]


def _too_small(wanted: Resources, cpus: Iterable[float], gpus: Iterable[float]) -> str:
    for what, needed, there in (("CPU", wanted.cpus, [*cpus]), ("GPU", wanted.gpus, [*gpus])):
        lower = f"lower --{what.lower()}s-per-trial"
        if needed > sum(there):
            return f"a trial wants {needed:g} {what}s but there are {sum(there):g}; {lower}"
        if needed > max(there, default=0.0):
            return (
                f"a trial wants {needed:g} {what}s but no machine has more than {max(there):g}, "
                f"and a trial is never spread over two; {lower}"
            )
    return (
        f"a trial wants {wanted} but no machine has both; lower --cpus-per-trial or "
        "--gpus-per-trial"
    )
