"""Which parts of a large space are timed, and what the times of the others are taken to be.

A space has tens of thousands of parts, which differ in their widths. Of each type some are timed,
and the logarithms of their times are fitted by those of widths, pixels and MACs.
`searchers.latency.obtaining` says how well whole networks are predicted with it.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from searchers.latency.parts import Part

_MOST_PARTS = 2000
"""Of a space with more, some are timed."""
_SAMPLE = 700
"""So many, which take a minute or a few."""
_FEWEST_IN_A_GROUP = 40
_RIDGE = 1e-3

_Group = tuple[str, str]


def sampled(parts: Sequence[Part]) -> list[Part]:
    """The parts to time: all, or in a large space some of each group, spread over their MACs."""
    if len(parts) <= _MOST_PARTS:
        return list(parts)
    groups = _groups(parts)
    room = max(_FEWEST_IN_A_GROUP, _SAMPLE // len(groups))
    found = []
    for members in groups.values():
        ordered = sorted(members, key=lambda part: (part.macs, part.c_in, part.conv))
        count = min(room, len(ordered))
        places = {round(at * (len(ordered) - 1) / max(1, count - 1)) for at in range(count)}
        found += [ordered[place] for place in sorted(places)]
    return found


def completed(parts: Sequence[Part], timed: Mapping[Part, float]) -> dict[Part, float]:
    """Seconds of every part: as timed, or as the timed parts of its group let expect."""
    found = dict(timed)
    for members in _groups(parts).values():
        known = [part for part in members if part in timed]
        missing = [part for part in members if part not in timed]
        if not missing:
            continue
        x = _features(known)
        y = np.log([timed[part] for part in known])
        ridge = _RIDGE * len(known) * np.eye(x.shape[1])
        ridge[0, 0] = 0.0
        weights = np.linalg.solve(x.T @ x + ridge, x.T @ y)
        low, high = y.min(), y.max()
        expected = np.exp(np.clip(_features(missing) @ weights, low, high))
        found |= dict(zip(missing, map(float, expected), strict=True))
    return found


def _groups(parts: Sequence[Part]) -> dict[_Group, list[Part]]:
    groups: dict[_Group, list[Part]] = {}
    for part in parts:
        groups.setdefault((part.what, part.group), []).append(part)
    return groups


def _features(parts: Sequence[Part]) -> NDArray[np.float64]:
    """A constant, the stride, logarithms of widths, pixels and MACs, and their products."""
    rows = []
    for part in parts:
        height, width = part.size
        sizes = (part.c_in, part.c_out, height * width, 1 + part.macs)
        logs = [math.log(size) for size in sizes]
        products = [a * b / 20 for a, b in itertools.combinations_with_replacement(logs, 2)]
        rows.append([1.0, float(part.stride > 1), *logs, *products])
    return np.array(rows)
