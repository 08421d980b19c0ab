"""Whether a number says more of accuracy than what is free."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.analysis.rank_correlation import rank_correlations


def made(count: int = 60) -> tuple[dict[str, list[float]], list[float]]:
    chance = np.random.default_rng(0)
    size, type_ = chance.normal(size=count), chance.normal(size=count)
    accuracy = size + type_ + 0.1 * chance.normal(size=count)
    numbers = {
        "params": list(size + 0.3 * chance.normal(size=count)),
        "macs": list(size),
        "knows all": list(accuracy),
        "knows what is missing": list(type_),
        "knows nothing": list(chance.normal(size=count)),
        "says macs again": list(3 * size + 1),
    }
    return numbers, list(accuracy)


def test_what_orders_networks_as_training_does_wins() -> None:
    best, *others = rank_correlations(*made())
    assert (best.name, best.rho, best.tau, best.count) == ("knows all", 1.0, 1.0, 60)
    assert best.wins
    assert not any(other.wins for other in others)


def test_what_macs_say_already_is_taken_out() -> None:
    found = {correlation.name: correlation for correlation in rank_correlations(*made())}
    assert found["knows what is missing"].partial > 0.9
    assert abs(found["says macs again"].partial) < 0.3
    assert found["says macs again"].gain == pytest.approx(0)
    assert abs(found["knows nothing"].rho) < 0.35


def test_intervals_hold_the_correlation() -> None:
    for correlation in rank_correlations(*made()):
        assert correlation.interval[0] <= correlation.rho <= correlation.interval[1] + 1e-9


def test_numbers_that_are_none_are_the_worst() -> None:
    numbers, accuracies = made(20)
    order = np.argsort(accuracies)
    numbers["broken"] = [-math.inf if at in order[:10] else 1.0 for at in range(20)]
    found = {
        correlation.name: correlation for correlation in rank_correlations(numbers, accuracies)
    }
    assert found["broken"].rho > 0.8


@settings(max_examples=5)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=12))
def test_it_is_defined_for_whatever_was_measured(accuracies: list[float]) -> None:
    count = len(accuracies)
    for correlation in rank_correlations(
        {"params": [1.0] * count, "macs": list(range(count))}, accuracies
    ):
        assert -1 - 1e-9 <= correlation.rho <= 1 + 1e-9
        assert not correlation.wins
