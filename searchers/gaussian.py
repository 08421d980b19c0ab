"""Gaussian process regression for a few hundred points (Rasmussen & Williams, 2006, algorithm 2.1).

In numpy, because the process that proposes imports neither torch nor scikit-learn.
"""

import itertools
import math
from typing import Self

import numpy as np

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

_LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""In units of the distance between two typical points."""
_LINEAR = (0.0, 0.5, 0.9)
"""How much of the variance is linear in the features."""
_NOISES = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)
"""Variance of the noise, in units of that of the function."""
_JITTER = 1e-8


class Gaussian:
    """A posterior: a line plus a Matérn-3/2 process plus noise, on standardised features.

    Length, share of the line and noise are those, of a grid, of the highest marginal likelihood.

    Args:
        x: features (n, d).
        y: values (n,).
    """

    def __init__(self, x: Matrix, y: Vector) -> None:
        self._centre, self._scale = x.mean(axis=0), x.std(axis=0)
        self._scale[self._scale < _JITTER] = math.inf  # it tells nothing apart
        self._mean, self._unit = float(y.mean()), float(y.std()) or 1.0
        self._x = self._standard(x)
        target = (y - self._mean) / self._unit
        self._kernel = (1.0, 0.0)
        best = (-math.inf, 0.0, self._kernel)
        for kernel in itertools.product(_LENGTHS, _LINEAR):
            found = _likelihood(self._covariance(self._x, self._x, kernel), target)
            best = max(best, (*found, kernel))
        _, noise, self._kernel = best
        covariance = self._covariance(self._x, self._x, self._kernel)
        covariance[np.diag_indices_from(covariance)] += noise + _JITTER
        values, vectors = np.linalg.eigh(covariance)
        self._root = vectors / np.sqrt(np.maximum(values, _JITTER))
        self._weights = self._root @ (self._root.T @ target)
        self._signal = _signal(target, values, vectors)

    @classmethod
    def fit(cls, x: Matrix, y: Vector) -> Self:
        """The posterior after seeing these values."""
        return cls(x, y)

    def predict(self, x: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the function, without noise, at each of some points."""
        x = self._standard(x)
        cross = self._covariance(x, self._x, self._kernel)
        mean = self._mean + self._unit * (cross @ self._weights)
        prior = self._covariance_at(x)
        explained = ((cross @ self._root) ** 2).sum(axis=1)
        spread = np.sqrt(np.maximum(prior - explained, _JITTER) * self._signal)
        return mean, self._unit * spread

    def _standard(self, x: Matrix) -> Matrix:
        standard: Matrix = (x - self._centre) / self._scale
        return standard

    def _covariance(self, a: Matrix, b: Matrix, kernel: tuple[float, float]) -> Matrix:
        length, linear = kernel
        features = a.shape[1]
        products = a @ b.T
        squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * products
        # Two random standardised points are √(2d) apart.
        distance = np.sqrt(np.maximum(squares, 0.0) * 3 / (2 * features)) / length
        matern = (1 + distance) * np.exp(-distance)
        found: Matrix = linear * (1 + products / features) + (1 - linear) * matern
        return found

    def _covariance_at(self, x: Matrix) -> Vector:
        """The prior variance of each point."""
        _, linear = self._kernel
        found: Vector = linear * (1 + (x**2).mean(axis=1)) + (1 - linear)
        return found


def _likelihood(covariance: Matrix, target: Vector) -> tuple[float, float]:
    """The highest log marginal likelihood over the noises, the signal's scale free; and its noise."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0.0) + _JITTER
    squares = (vectors.T @ target) ** 2
    count = len(target)
    found = []
    for noise in _NOISES:
        total = values + noise
        signal = float((squares / total).mean())
        found.append((-0.5 * (count * math.log(signal) + float(np.log(total).sum())), noise))
    return max(found)


def _signal(target: Vector, values: Vector, vectors: Matrix) -> float:
    """The scale of the signal's variance that fits best."""
    return float(((vectors.T @ target) ** 2 / np.maximum(values, _JITTER)).mean())
