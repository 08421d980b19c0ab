"""Intervals: known values, and the laws that they keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.intervals import around_mean, paired, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    # As statsmodels gives them (its function proportion_confint, method wilson).
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (354, 359, 0.9678, 0.9940)],
)
def test_wilson_intervals_are_the_known_ones(
    right: int, count: int, low: float, high: float
) -> None:
    assert wilson(right / count, count) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_an_interval_is_of_shares_and_holds_the_share(count: int, share: float) -> None:
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_more_images_make_it_narrower() -> None:
    widths = [high - low for low, high in (wilson(0.9, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_the_interval_of_images_in_pairs_is_agrestis() -> None:
    # By hand: 10.5 and 2.5 of 102 images.
    low, high = paired(10, 2, 100)
    assert (low + high) / 2 == pytest.approx(-8 / 102)
    assert (high - low) / 2 == pytest.approx(1.95996 * (13 - 64 / 102) ** 0.5 / 102, abs=1e-6)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 10**6))
def test_an_interval_of_pairs_has_two_equal_sides(lost: int, won: int, others: int) -> None:
    count = lost + won + others + 1
    low, high = paired(lost, won, count)
    assert paired(won, lost, count) == pytest.approx((-high, -low))
    assert -1 <= low < high <= 1


def test_the_interval_of_a_mean_is_students() -> None:
    # Three values 1 apart: standard error 1/√3, and 4.3027 of Student's t with 2 degrees.
    assert around_mean([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert around_mean([0.5, 0.5]) == 0
