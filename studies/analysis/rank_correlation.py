"""How well a number predicts accuracy: rank correlations, compared with numbers that are free."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from studies.records.tables import Evaluation

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

BASELINES = ("params", "macs")
"""Numbers that are known of every network."""
FEWEST_NETWORKS = 10
"""With fewer networks a rank correlation says nothing."""
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """How a number ranks networks, against their accuracies.

    Attributes:
        name: of the number.
        rho: Spearman's rank correlation, with its 95 % interval (bootstrap over networks).
        tau: Kendall's.
        partial: Spearman's, with what MACs and parameters explain removed from both ranks.
        gain: rho minus rho of the better baseline, with its 95 % interval (paired bootstrap).
        count: of networks.
    """

    name: str
    rho: float
    interval: tuple[float, float]
    tau: float
    partial: float
    gain: float
    gain_interval: tuple[float, float]
    count: int

    @property
    def wins(self) -> bool:
        """Whether it is clearly better than the better baseline."""
        return self.name not in BASELINES and self.gain_interval[0] > 0

    @property
    def texts(self) -> list[str]:
        """As a row of a table: name, rho, its interval, tau, the partial one, whether it wins."""
        low, high = self.interval
        return [
            self.name,
            f"{self.rho:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{self.tau:.2f}",
            f"{self.partial:.2f}",
            "yes" if self.wins else "no",
        ]


def baselines(evaluations: Iterable[Evaluation]) -> dict[str, list[float]]:
    """The numbers of `BASELINES` for each network."""
    known = list(evaluations)
    return {name: [float(getattr(entry, name)) for entry in known] for name in BASELINES}


def rank_correlations(
    numbers: Mapping[str, Sequence[float]], accuracies: Sequence[float]
) -> list[RankCorrelation]:
    """How each number ranks the networks, the best first.

    Args:
        numbers: of each network, by name; `BASELINES` among them.
        accuracies: of the same networks, all trained in the same way.
    """
    y = np.asarray(accuracies, dtype=np.float64)
    columns = {name: _finite(values) for name, values in numbers.items()}
    baseline = max(BASELINES, key=lambda name: _rho(columns[name], y))
    chance = np.random.default_rng(0)
    samples = [chance.integers(0, len(y), len(y)) for _ in range(_RESAMPLES)]
    floor = np.array([_rho(columns[baseline][s], y[s]) for s in samples])
    known = np.column_stack([stats.rankdata(columns[name]) for name in BASELINES])
    found = []
    for name, x in columns.items():
        rhos = np.array([_rho(x[s], y[s]) for s in samples])
        rho = _rho(x, y)
        found.append(
            RankCorrelation(
                name,
                rho,
                _interval(rhos),
                float(stats.kendalltau(x, y).statistic),
                _partial(x, y, known),
                rho - _rho(columns[baseline], y),
                _interval(rhos - floor),
                len(y),
            )
        )
    return sorted(found, key=lambda correlation: -correlation.rho)


def _finite(values: Sequence[float]) -> Vector:
    """The values; those that are not finite come below all others."""
    found = np.asarray(values, dtype=np.float64)
    finite = found[np.isfinite(found)]
    lowest = float(finite.min()) - 1 if len(finite) else 0.0
    return np.where(np.isfinite(found), found, lowest)


def _rho(x: Vector, y: Vector) -> float:
    """Spearman's rank correlation; 0 where one of them never changes."""
    a, b = stats.rankdata(x), stats.rankdata(y)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _partial(x: Vector, y: Vector, known: Vector) -> float:
    """Spearman's correlation after a linear fit on the known ranks is removed from both ranks."""
    design = np.column_stack([np.ones(len(y)), known])

    def rest(values: Vector) -> Vector:
        ranks = stats.rankdata(values)
        left: Vector = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
        return left

    a, b = rest(x), rest(y)
    # Nothing is left of a number that the known ones explain.
    if min(a.std(), b.std()) < 1e-9 * len(y):
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _interval(values: Vector) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
