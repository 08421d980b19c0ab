"""Gaussian process regression for a few hundred points (Rasmussen & Williams, 2006, algorithm 2.1).

It uses numpy, because the process that proposes imports neither torch nor scikit-learn.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

_LENGTH_SCALES = (0.5, 1.0, 2.0, 4.0)
"""In units of the distance between two typical points."""
_LINEAR_SHARES = (0.0, 0.5, 0.9)
"""How much of the variance is linear in the features."""
_NOISE_VARIANCES = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)
"""Variance of the noise, in units of that of the function."""
_JITTER = 1e-8


_CHOOSING_POINTS = 128
"""Most points used to choose a kernel: the time of each kernel grows with their cube."""


class Gaussian:
    """A posterior: a line plus a Matérn-3/2 process plus noise, on standardised features.

    Args:
        x: features (n, d).
        y: values (n,).
        weights: of the features (d,) in squared distances.
        kernel: how alike points are; None takes the one of a grid with the highest likelihood.

    Attributes:
        kernel: the one that was given or found.
    """

    def __init__(
        self, x: Matrix, y: Vector, weights: Vector, kernel: "Kernel | None" = None
    ) -> None:
        self._centre, spread = x.mean(axis=0), x.std(axis=0)
        varies = spread > _JITTER  # a constant feature tells nothing apart
        self._scale = np.where(varies, np.sqrt(weights) / np.where(varies, spread, 1.0), 0.0)
        self._mean, self._unit = float(y.mean()), float(y.std()) or 1.0
        self._x = self._standard(x)
        target = (y - self._mean) / self._unit
        self.kernel = kernel or _chosen(self._x, target)
        covariance = _covariance(self._x, self._x, self.kernel)
        covariance[np.diag_indices_from(covariance)] += self.kernel.noise + _JITTER
        self._root = np.linalg.cholesky(covariance)
        white = solve_triangular(self._root, target, lower=True)
        self._weights = solve_triangular(self._root, white, lower=True, trans="T")
        self._signal = max(float((white**2).mean()), _JITTER)  # 0 if all values are equal

    def mean(self, x: Matrix) -> Vector:
        """Mean of the function at points (m, d)."""
        cross = _covariance(self._standard(x), self._x, self.kernel)
        mean: Vector = self._mean + self._unit * (cross @ self._weights)
        return mean

    def predict(self, x: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the function, without noise, at points (m, d)."""
        x = self._standard(x)
        cross = _covariance(x, self._x, self.kernel)
        mean = self._mean + self._unit * (cross @ self._weights)
        explained = (solve_triangular(self._root, cross.T, lower=True) ** 2).sum(axis=0)
        variance = np.maximum(_variance(x, self.kernel) - explained, _JITTER)
        return mean, self._unit * np.sqrt(variance * self._signal)

    def _standard(self, x: Matrix) -> Matrix:
        standard: Matrix = (x - self._centre) * self._scale
        return standard


@dataclass(frozen=True, slots=True)
class Kernel:
    """How alike two points are.

    Attributes:
        length: over which the process changes; 1 is the distance of two typical points.
        linear: share of the variance that is linear.
        noise: variance of the noise, in units of the function's variance.
    """

    length: float
    linear: float
    noise: float


def _covariance(a: Matrix, b: Matrix, kernel: Kernel) -> Matrix:
    features = a.shape[1]
    products = a @ b.T
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * products
    # Two random standardised points are √(2d) apart.
    distance = np.sqrt(np.maximum(squares, 0.0) * 3 / (2 * features)) / kernel.length
    matern = (1 + distance) * np.exp(-distance)
    found: Matrix = kernel.linear * (1 + products / features) + (1 - kernel.linear) * matern
    return found


def _variance(x: Matrix, kernel: Kernel) -> Vector:
    """The diagonal of the covariance."""
    found: Vector = kernel.linear * (1 + (x**2).mean(axis=1)) + (1 - kernel.linear)
    return found


def _chosen(x: Matrix, target: Vector) -> Kernel:
    """The kernel of the highest likelihood."""
    some = np.linspace(0, len(x) - 1, min(len(x), _CHOOSING_POINTS)).round().astype(int)
    x, target = x[some], target[some]
    found = []
    for number, shape in enumerate(itertools.product(_LENGTH_SCALES, _LINEAR_SHARES)):
        covariance = _covariance(x, x, Kernel(*shape, noise=0.0))
        likelihood, noise = _likelihood(covariance, target)
        found.append((likelihood, -number, Kernel(*shape, noise)))
    return max(found, key=lambda row: row[:2])[2]


def _likelihood(covariance: Matrix, target: Vector) -> tuple[float, float]:
    """The highest log marginal likelihood over noises and scales of the signal, and its noise."""
    values, vectors = np.linalg.eigh(covariance)
    squares = (vectors.T @ target) ** 2
    found = []
    for noise in _NOISE_VARIANCES:
        total = np.maximum(values, 0.0) + noise + _JITTER
        signal = max(float((squares / total).mean()), _JITTER)
        likelihood = -0.5 * (len(target) * math.log(signal) + float(np.log(total).sum()))
        found.append((likelihood, noise))
    return max(found)
