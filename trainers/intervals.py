"""95 % intervals of measured numbers."""

import math
import statistics
from collections.abc import Sequence

_Z = 1.959963984540054
"""97.5 % of a normal distribution is below this number of standard deviations."""


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent images, both 0 to 1.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    z = _Z**2 / count
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(z * share * (1 - share) + z**2 / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def between_shares(one: float, other: float, count: int) -> float:
    """Half the 95 % interval of the difference of two shares of `count` independent images each."""
    return _Z * math.sqrt((one * (1 - one) + other * (1 - other)) / count)


def paired(lost: int, won: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a second share of the same images minus a first one, both 0 to 1.

    Source: Agresti and Min, Simple improved confidence intervals for comparing matched proportions,
    Statistics in Medicine 2005.

    Args:
        lost: images that only the first has right.
        won: images that only the second has right.
        count: all images.
    """
    # Half an image for each of the four outcomes.
    total, one, other = count + 2, lost + 0.5, won + 0.5
    middle = (other - one) / total
    half = _Z * math.sqrt(one + other - (other - one) ** 2 / total) / total
    return max(-1.0, middle - half), min(1.0, middle + half)


def between_means(
    values: Sequence[float], others: Sequence[float], *, comparisons: int = 1
) -> float:
    """Half the 95 % interval of the difference of two means, each of at least two values.

    With several comparisons all of their intervals hold together with at least 95 % (Bonferroni).

    Source: Welch, The generalization of Student's problem, Biometrika 1947.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - half a second for this number

    errors = [statistics.variance(v) / len(v) for v in (values, others)]
    weights = [e**2 / (len(v) - 1) for e, v in zip(errors, (values, others), strict=True)]
    if not sum(errors):
        return 0.0
    quantile: float = stdtrit(sum(errors) ** 2 / sum(weights), 1 - 0.025 / comparisons)
    return quantile * math.sqrt(sum(errors))


def around_mean(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean of at least two values, by Student's t distribution."""
    from scipy.special import stdtrit  # noqa: PLC0415 - half a second for this number

    count = len(values)
    quantile: float = stdtrit(count - 1, 0.975)
    return quantile * statistics.stdev(values) / math.sqrt(count)
