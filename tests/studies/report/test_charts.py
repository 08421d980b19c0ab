"""Axes and where values lie on them."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from studies.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, axis_around

VALUES = st.floats(1e-6, 1e12)


@given(VALUES, VALUES, st.booleans())
def test_ticks_are_a_few_values_within_the_axis(low: float, high: float, logarithmic: bool) -> None:
    assume(high > low * 1.1)
    axis = Axis(low, high, "", str, logarithmic=logarithmic)
    ticks = axis.ticks()
    slack = 1e-9 * high
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert ticks == sorted(ticks)
    assert len(ticks) <= 20
    if not logarithmic:
        assert len(ticks) >= 2


@given(st.lists(VALUES, min_size=1, max_size=9), st.booleans())
def test_every_value_lies_on_the_axis_around_it(values: list[float], logarithmic: bool) -> None:
    axis = axis_around(values, "", str, logarithmic=logarithmic)
    places = [axis.along(value) for value in sorted(values)]
    assert all(0 <= place <= 1 for place in places)
    assert places == sorted(places)


def test_equal_ratios_are_equal_lengths_on_a_logarithmic_axis() -> None:
    axis = Axis(1, 10_000, "", str, logarithmic=True)
    assert [axis.along(v) for v in (1, 10, 100, 10_000)] == pytest.approx([0, 0.25, 0.5, 1])
    assert axis.ticks() == [1, 10, 100, 1000, 10_000]


def test_a_share_never_has_a_tick_above_one() -> None:
    axis = axis_around([0.2, 0.99], "", str, within=(0, 1))
    assert axis.high == 1
    assert math.isclose(axis.low, 0.2 - 0.05 * 0.79)


def test_points_lie_between_the_axes_and_larger_ones_higher() -> None:
    chart = Chart(Axis(0, 1, "", str), Axis(0, 1, "", str))
    assert chart.place(0, 0) == (LEFT, HEIGHT - BOTTOM)
    assert chart.place(1, 1) == (WIDTH - RIGHT, TOP)


def test_steps_run_level_and_then_up() -> None:
    chart = Chart(Axis(0, 1, "", str), Axis(0, 1, "", str))
    (x0, y0), (x1, y1) = chart.place(0, 0.5), chart.place(1, 1)
    assert chart.steps([(0, 0.5), (1, 1)]) == f"M{x0} {y0}H{x1}V{y1}"
