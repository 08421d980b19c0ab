"""Gets the latency model of a search: from the cache, or by measuring."""

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_space.costs.cost import Task, predict
from nas_space.scratch import scratch
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.residual import ResidualSpace
from nas_space.waiting import Say
from searchers.latency import cache
from searchers.latency.device import LatencyDevice
from searchers.latency.fitting import best_stiffness, fit, kendall, left_out
from searchers.latency.model import Accuracy, LatencyModel
from searchers.latency.parts import Part, every_part, parts
from searchers.latency.processes import run_ours
from searchers.latency.sampling import completed, sampled
from studies.runtimes.timing import Timing

NETWORKS = 40
"""Whole networks to measure on this machine."""
DEVICE_NETWORKS = 30
"""Whole networks to measure on a user's device, which takes longer."""
_MEASURED_SHARES = (1.0, 0.5, 0.2, 0.05)
"""Shares of measured times to try, see `blended`; the rest follows the MACs."""
_FOLDER = Path("~/.cache/convnas/latency")
_AS_USUAL = Timing()


def obtain(
    space: ResidualSpace,
    task: Task,
    say: Say,
    timing: Timing = _AS_USUAL,
    device: LatencyDevice | None = None,
) -> LatencyModel:
    """The latency model of a space on this machine, or on the user's device.

    Args:
        space: whose layers and networks are measured.
        task: what the networks are for.
        say: gets the progress, in short lines.
        timing: in which runtime, with how many threads and images.
        device: the user's; None is this machine.

    Raises:
        LatencyError: the measurement failed.
    """
    folder = _FOLDER.expanduser()
    rows = every_part(space, task)
    chosen = typical(space, task, DEVICE_NETWORKS if device else NETWORKS)
    path = cache.place(folder, space, task, timing, device.command if device else "")
    kept = cache.read(path)
    if kept is not None and set(rows) <= kept.seconds.keys():
        return kept
    timed = sampled(rows)
    answer = measured(timed, task, () if device else chosen, timing, say)
    quartiles = np.array(
        device.measure(chosen, task, timing.batch, say) if device else answer["networks"],
        dtype=np.float64,
    )
    batch = timing.batch
    hardware = answer["hardware"]
    where = f"{device.command} (per-layer times: {hardware})" if device else hardware
    model = calibrate(
        f"{where}, batches of {batch}" if batch > 1 else where,
        batch,
        task,
        completed(rows, dict(zip(timed, answer["parts"], strict=True))),
        chosen,
        quartiles,
    )
    cache.write(path, model)
    return model


def typical(space: ResidualSpace, task: Task, count: int) -> list[Architecture]:
    """This many different networks of the space; fewer if it holds fewer.

    Half are hand-designed ones, spread over their MACs, if the space has so many; the others are
    random. Random ones are mostly large: by them alone the error of small ones was 32 instead of
    12 % (docs/log.md).
    """
    by_hand = sorted(
        (network for network in space.by_hand() if space.encode(network) is not None),
        key=lambda network: predict(network, task).macs,
    )
    wanted = min(count // 2, len(by_hand))
    places = (round(at * (len(by_hand) - 1) / max(1, wanted - 1)) for at in range(wanted))
    chosen = [*(by_hand[at] for at in places), *networks(space, count)]
    return list({network.key: network for network in chosen}.values())[:count]


def networks(space: ResidualSpace, count: int) -> list[Architecture]:
    """This many different random networks of the space; fewer if it holds fewer."""
    chance, found = random.Random(0), dict[str, Architecture]()
    for _ in range(200 * count):
        labels = {p.name: chance.choice(p.labels) for p in space.parameters}
        network = space.decode(labels)
        found[network.key] = network
        if len(found) == count:
            break
    return list(found.values())


def calibrate(
    device: str,
    batch: int,
    task: Task,
    seconds: dict[Part, float],
    chosen: Sequence[Architecture],
    quartiles: "np.ndarray[Any, np.dtype[np.float64]]",
) -> LatencyModel:
    """Fit a model to networks × (lower quartile, median, upper quartile) of seconds."""
    groups = sorted({part.group for part in seconds})
    median = quartiles[:, 1]
    found = []
    for share in _MEASURED_SHARES:
        table = blended(seconds, share)
        sums = np.zeros((len(chosen), len(groups)))
        for at, network in enumerate(chosen):
            for part in parts(network, task):
                sums[at, groups.index(part.group)] += table[part]
        stiffness = best_stiffness(sums, median)
        predicted = left_out(sums, median, stiffness)
        error = float(np.mean((predicted / median - 1) ** 2))
        found.append((error, table, fit(sums, median, stiffness), predicted))
    _, seconds, (offset, *factors), predicted = min(found, key=lambda one: one[0])
    off = np.abs(predicted / median - 1)
    return LatencyModel(
        device=device,
        batch=batch,
        task=task,
        offset=float(offset),
        factors=dict(zip(groups, map(float, factors), strict=True)),
        seconds=seconds,
        accuracy=Accuracy(
            networks=len(chosen),
            error=float(np.median(off)),
            error90=float(np.quantile(off, 0.9)),
            tau=kendall(predicted, median),
            spread=float(np.median((quartiles[:, 2] - quartiles[:, 0]) / median)),
        ),
    )


def blended(seconds: dict[Part, float], share: float) -> dict[Part, float]:
    """A mix of measured times, with this share, and times in proportion to the MACs.

    On another device with another runtime, small layers do not have the overheads of this machine.
    """
    pace = sum(seconds.values()) / sum(part.macs for part in seconds)
    return {part: share * t + (1 - share) * pace * part.macs for part, t in seconds.items()}


def measured(
    rows: Sequence[Part], task: Task, chosen: Sequence[Architecture], timing: Timing, say: Say
) -> dict[str, Any]:
    """The answer of `searchers.latency.measuring`, which runs as a process with torch.

    Raises:
        LatencyError: it failed.
    """
    request = {
        **dataclasses.asdict(timing),
        "shape": [task.channels, *task.size],
        "classes": task.classes,
        "parts": [row.row() for row in rows],
        "networks": [network.text for network in chosen],
    }
    with scratch("convnas-") as folder:
        asked, answered = folder / "request.json", folder / "answer.json"
        asked.write_text(json.dumps(request))
        run_ours("searchers.latency.measuring", [asked, answered], "timing layers", say)
        found: dict[str, Any] = json.loads(answered.read_bytes())
    return found
