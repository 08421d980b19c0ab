"""Laws of Gaussian process regression."""

import dataclasses

import numpy as np
import pytest

from studies.model.gaussian import Gaussian, Matrix, Vector


def points(count: int, features: int = 3, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).normal(size=(count, features))


def bowl(x: Matrix) -> Vector:
    values: Vector = 0.6 - 0.02 * (x**2).sum(axis=1) + 0.05 * x[:, 0]
    return values


def fitted(x: Matrix, y: Vector) -> Gaussian:
    return Gaussian(x, y, np.ones(x.shape[1]))


def test_it_goes_through_values_without_noise_and_predicts_those_between() -> None:
    x = points(200)
    model = fitted(x, bowl(x))
    assert model.predict(x)[0] == pytest.approx(bowl(x), abs=0.003)
    between = points(50, seed=1) * 0.8
    assert np.sqrt(((model.predict(between)[0] - bowl(between)) ** 2).mean()) < 0.01


def test_noise_is_averaged_out() -> None:
    x = np.repeat(points(30), 10, axis=0)
    noise = np.random.default_rng(2).normal(scale=0.05, size=len(x))
    model = fitted(x, bowl(x) + noise)
    error = model.predict(x)[0] - bowl(x)
    assert np.sqrt((error**2).mean()) < 0.6 * 0.05


def test_it_is_less_sure_far_from_what_it_knows() -> None:
    x = points(60)
    model = fitted(x, bowl(x))
    near, far = model.predict(x[:5])[1], model.predict(x[:5] + 8)[1]
    assert (far > 3 * near).all()


def test_units_and_offsets_do_not_matter() -> None:
    x = points(40)
    y, factors = bowl(x), np.array([1, 100, 0.01])
    mean, spread = fitted(x, y).predict(x[:5] * 0.9)
    other = fitted(x * factors + 7, 50 * y - 3).predict(x[:5] * 0.9 * factors + 7)
    assert other[0] == pytest.approx(50 * mean - 3, rel=1e-6)
    assert other[1] == pytest.approx(50 * spread, rel=1e-6)


def test_a_feature_that_never_changes_and_equal_values_do_no_harm() -> None:
    x = np.column_stack([points(20), np.full(20, 3.0)])
    assert np.isfinite(fitted(x, bowl(x)).predict(x)).all()
    mean, spread = fitted(x, np.full(20, 0.5)).predict(x + 1)
    assert mean == pytest.approx(0.5)
    assert np.isfinite(spread).all()


def test_a_feature_of_no_weight_is_not_seen() -> None:
    x = points(50)
    model = Gaussian(x, bowl(x), np.array([1.0, 1.0, 0.0]))
    moved = x + np.array([0, 0, 5])
    assert model.predict(x)[0] == pytest.approx(model.predict(moved)[0])


def test_a_kernel_that_is_given_is_kept() -> None:
    x = points(40)
    chosen = fitted(x, bowl(x))
    again = Gaussian(x, bowl(x), np.ones(3), chosen.kernel)
    assert again.predict(x)[0] == pytest.approx(chosen.predict(x)[0])
    noisy = dataclasses.replace(chosen.kernel, noise=1.0)
    assert Gaussian(x, bowl(x), np.ones(3), noisy).kernel is noisy
    assert Gaussian(x, bowl(x), np.ones(3), noisy).predict(x)[0].std() < bowl(x).std()
