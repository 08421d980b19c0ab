"""Which parts of a large space are timed, and what the others are taken to take."""

import math
from collections import Counter

import numpy as np
import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualSpace
from searchers.latency.parts import Part, every_part
from searchers.latency.sampling import completed, sampled

TASK = Task(3, (16, 16), 10)
LARGE = every_part(get("mixed"), TASK)
SMALL = ResidualSpace("small", ("regular", "igc"), widths=((8, 16), (16, 32)), depths=(1, 2))


def group(part: Part) -> tuple[object, ...]:
    return part.what, part.group


def pretended(part: Part) -> float:
    """Seconds as on a device with an overhead, that likes wide layers."""
    return 1e-5 + 1e-9 * part.macs / math.log(2 + part.c_out) + 1e-9 * part.c_in


def test_a_small_space_is_timed_whole() -> None:
    rows = every_part(SMALL, TASK)
    assert sampled(rows) == rows
    timed = {part: pretended(part) for part in rows}
    assert completed(rows, timed) == timed


@pytest.mark.slow
def test_of_a_large_space_some_parts_of_each_group_are_timed() -> None:
    chosen = sampled(LARGE)
    assert len(set(chosen)) == len(chosen) < len(LARGE) / 5
    assert set(chosen) <= set(LARGE)
    there, timed = Counter(map(group, LARGE)), Counter(map(group, chosen))
    assert timed.keys() == there.keys()
    assert all(timed[name] >= min(40, count) for name, count in there.items())
    # Nothing is estimated beyond what was timed: the cheapest and the dearest of a group are.
    for name in there:
        macs = [part.macs for part in LARGE if group(part) == name]
        known = [part.macs for part in chosen if group(part) == name]
        assert (min(known), max(known)) == (min(macs), max(macs))


def test_times_are_kept_and_every_other_part_gets_one_near_the_truth() -> None:
    timed = {part: pretended(part) for part in sampled(LARGE)}
    found = completed(LARGE, timed)
    assert found.keys() == set(LARGE)
    assert all(found[part] == seconds for part, seconds in timed.items())
    assert all(0 < seconds < math.inf for seconds in found.values())
    off = [abs(found[part] / pretended(part) - 1) for part in LARGE if part not in timed]
    assert len(off) > len(timed)
    assert np.median(off) < 0.1
    assert np.quantile(off, 0.95) < 0.5


@pytest.mark.parametrize("scale", [1e-9, 10.0])
def test_estimates_stay_between_the_times_of_their_group(scale: float) -> None:
    chance = np.random.default_rng(0)
    timed = {part: scale * float(chance.uniform(0.5, 2.0)) for part in sampled(LARGE)}
    bounds: dict[object, list[float]] = {}
    for part, seconds in timed.items():
        bounds.setdefault(group(part), []).append(seconds)
    for part, seconds in completed(LARGE, timed).items():
        known = bounds[group(part)]
        assert min(known) * (1 - 1e-9) <= seconds <= max(known) * (1 + 1e-9)
