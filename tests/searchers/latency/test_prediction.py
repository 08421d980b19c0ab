"""Latency from parts: the pure side."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualSpace
from searchers.latency.fitting import best_stiffness, fit, kendall, left_out
from searchers.latency.model import Accuracy, LatencyModel
from searchers.latency.obtaining import networks, typical
from searchers.latency.parts import Part, every_part
from searchers.limits import ImpossibleLimitError, Limits, check_latency
from tests.examples import SMALL_PHOTO

TASK = Task(3, (9, 8), 10)
FEW = ResidualSpace("few", ("regular", "igc"), widths=((8,), (8, 16)), depths=(1,))
ACCURACY = Accuracy(40, 0.03, 0.08, 0.9, 0.05)


def drawn(space: ResidualSpace, seed: int) -> Architecture:
    chance = random.Random(seed)
    return space.decode({p.name: chance.choice(p.labels) for p in space.parameters})


def macs(part: Part) -> float:
    return part.macs


def model(space: ResidualSpace, seconds: object = macs) -> LatencyModel:
    assert callable(seconds)
    rows = every_part(space, TASK)
    groups = {row.group for row in rows}
    table = {row: float(seconds(row)) for row in rows}
    return LatencyModel("here", 1, TASK, 0.0, dict.fromkeys(groups, 1.0), table, ACCURACY)


@pytest.mark.parametrize("space", [get("mixed"), get("octave"), SMALL_PHOTO], ids=lambda s: s.name)
def test_the_parts_of_a_network_are_all_of_it(space: ResidualSpace) -> None:
    # With its MACs for the time of each part, a network's time is its MACs.
    counted = model(space)
    for seed in range(50):
        network = drawn(space, seed)
        assert counted.predict(network) == predict(network, TASK).macs


def test_the_fastest_is_the_fastest_of_all() -> None:
    chance = random.Random(1)
    timed = model(FEW, lambda _part: chance.uniform(1, 2))
    least = timed.predict(timed.fastest(FEW))
    found = {network.key: timed.predict(network) for network in networks(FEW, FEW.size())}
    assert len(found) == FEW.size() == 225
    assert least == min(found.values())
    assert timed.predict(timed.slowest(FEW)) == max(found.values())


def test_an_impossible_latency_names_the_smallest_that_is_possible() -> None:
    timed = model(FEW, lambda _part: 1.23456e-4)
    with pytest.raises(ImpossibleLimitError, match=r"--max-latency 0\.1ms .* takes 1\.12ms"):
        check_latency(FEW, timed, Limits(latency=1e-4))
    check_latency(FEW, timed, Limits(latency=1.12e-3))


def test_a_model_comes_back_from_its_file_as_it_was() -> None:
    timed = model(FEW, lambda _part: 0.5)
    assert LatencyModel.from_json(timed.to_json()) == timed


@pytest.mark.parametrize(
    "change", [{"offset": -1}, {"offset": float("nan")}, {"factors": {"igc": 0}}, {"parts": [[1]]}]
)
def test_a_file_of_nonsense_is_no_model(change: dict[str, object]) -> None:
    data = model(FEW, lambda _part: 0.5).to_json()
    with pytest.raises((ValueError, TypeError, KeyError)):
        LatencyModel.from_json(data | change)


def test_a_fit_finds_offset_and_factors() -> None:
    chance = np.random.default_rng(0)
    sums = chance.uniform(1, 3, (40, 3))
    measured = 0.7 + sums @ [1.0, 2.0, 0.5]
    found = fit(sums, measured, 1e-9)
    assert found == pytest.approx([0.7, 1.0, 2.0, 0.5], rel=0.01)
    stiff = fit(sums, measured, 1e9)
    assert np.ptp(stiff[1:]) < 1e-3
    assert best_stiffness(sums, measured) < 1
    assert left_out(sums, measured, 1e-9) == pytest.approx(measured, rel=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_no_fit_has_a_part_or_a_network_take_less_than_no_time(seed: int) -> None:
    chance = np.random.default_rng(seed)
    sums, measured = chance.uniform(0, 1, (6, 4)), chance.uniform(0.1, 5, 6)
    found = fit(sums, measured, 0.03)
    assert found[0] >= 0
    assert (found[1:] > 0).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20))
def test_the_rank_correlation_is_kendalls(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    if len(set(a)) > 1 < len(set(b)):
        assert kendall(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_small_networks_are_among_those_that_are_measured() -> None:
    space = get("mixed")
    found = typical(space, TASK, 30)
    assert len({network.key for network in found}) == 30
    assert all(space.encode(network) is not None for network in found)
    by_hand = [predict(network, TASK).macs for network in found if network.by_hand]
    assert len(by_hand) == 15
    assert max(by_hand) > 100 * min(by_hand)
    assert len(typical(FEW, TASK, 500)) == FEW.size()
