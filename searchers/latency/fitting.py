"""Fits the sums of parts to the measured latencies of whole networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STIFFNESS = (1e6, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""How strongly the groups' factors are pulled together: from one factor for all to nearly free."""
_LEAST_FACTOR_SHARE = 0.05
"""Least factor, as a share of the common one: no type's layers take no time at all."""


def fit(sums: Floats, measured: Floats, stiffness: float) -> Floats:
    """Offset and factors with the least squared relative error.

    One common factor is fitted first, and ridge regression pulls the factors towards it. A number
    that leaves its range (an offset below 0, a factor below a share of the common one) is set to
    the bound, and the others are fitted again.

    Args:
        sums: seconds of the parts of each group, summed: networks × groups.
        measured: seconds of each network.
        stiffness: of the ridge.

    Returns:
        The offset, then a factor for each group.
    """
    relative = sums / measured[:, None]
    whole = relative.sum(axis=1)
    common = float(whole.sum() / (whole @ whole))
    columns = np.column_stack([1 / measured, relative])
    prior = np.full(columns.shape[1], common)
    prior[0] = 0.0
    least = np.full(columns.shape[1], _LEAST_FACTOR_SHARE * common)
    least[0] = 0.0
    # The offset is free; a group that no network has keeps the common factor.
    ridge = np.full(columns.shape[1], stiffness * float((relative**2).sum(axis=0).mean()))
    ridge[0] = 1e-9 * float((columns[:, 0] ** 2).sum())
    fixed = np.zeros(columns.shape[1], dtype=bool)
    found = prior.copy()
    for _ in range(columns.shape[1]):
        free = ~fixed
        target = 1.0 - columns[:, fixed] @ least[fixed]
        left = columns[:, free]
        gram = left.T @ left + np.diag(ridge[free])
        right = left.T @ target + ridge[free] * prior[free]
        found[free], found[fixed] = np.linalg.solve(gram, right), least[fixed]
        low = (found < least) & free
        if not low.any():
            break
        fixed |= low
    bounded: Floats = np.maximum(found, least)
    return bounded


def left_out(sums: Floats, measured: Floats, stiffness: float) -> Floats:
    """Seconds of each network, predicted by a fit to all the others."""
    everyone = np.arange(len(measured))
    return np.array(
        [
            np.r_[1.0, sums[i]] @ fit(sums[everyone != i], measured[everyone != i], stiffness)
            for i in everyone
        ]
    )


def best_stiffness(sums: Floats, measured: Floats) -> float:
    """The stiffness with the least squared relative error on networks left out."""

    def error(stiffness: float) -> float:
        predicted = left_out(sums, measured, stiffness)
        return float(np.mean((predicted / measured - 1) ** 2))

    return min(_STIFFNESS, key=error)


def kendall(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Kendall's tau-b: 1 where both rank alike, -1 where one is the other's reverse."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    upper = np.triu_indices(len(a), 1)
    x, y = (np.sign(v[:, None] - v[None, :])[upper] for v in (a, b))
    both = np.sqrt(np.abs(x).sum() * np.abs(y).sum())
    return float((x * y).sum() / both) if both else 0.0
