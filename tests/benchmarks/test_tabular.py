"""The table of trained networks, what is learned from it, and searches replayed on it."""

import statistics

import numpy as np
import pytest

from benchmarks.tabular.choice import choices
from benchmarks.tabular.replay import METHODS, replay
from benchmarks.tabular.surrogate import Check, Network, Surrogate, read
from benchmarks.tabular.train import EPOCHS, MOST_MACS, TABLE, TASK
from nas_space.costs.cost import predict
from nas_space.spaces.registry import get


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return read()


@pytest.fixture(scope="module")
def surrogate(networks: list[Network]) -> Surrogate:
    return Surrogate(networks)


def test_the_table_holds_whole_curves_of_networks_within_the_limit(networks: list[Network]) -> None:
    assert len(networks) > 150
    assert len({network.key for network in networks}) == len(networks)
    for network in networks:
        assert network.curves.shape[1] == EPOCHS
        assert ((network.curves > 0) & (network.curves < 1)).all()
    # Only the uniform networks, of which some are wide, may have more.
    assert sum(network.macs > MOST_MACS for network in networks) <= 6


def test_networks_that_were_not_learned_from_are_predicted(networks: list[Network]) -> None:
    fit = Check(networks).fit(np.arange(len(networks)))
    assert fit.r2 > 0.8
    assert fit.tau > 0.7


def test_a_seed_adds_noise_around_the_mean(surrogate: Surrogate) -> None:
    architecture = get("mixed").smallest(TASK)
    assert predict(architecture, TASK).macs < 10**6
    curves = [surrogate.train(architecture, seed) for seed in range(60)]
    assert surrogate.train(architecture, 5) == curves[5]
    assert len({tuple(curve) for curve in curves}) > 10
    assert np.mean(curves, axis=0) == pytest.approx(surrogate.mean(architecture), abs=0.015)


@pytest.mark.parametrize("method", ["bayes", "bayes-rungs-1-3-9"])
def test_our_default_is_ahead_of_random_search_and_nothing_poses_on_its_front(
    surrogate: Surrogate, method: str
) -> None:
    ours = replay(method, 0, 20, surrogate)
    random = replay("optuna-random", 0, 20, surrogate)
    assert set(ours.found) == {10, 20}
    assert ours.found[20] > random.found[20] + 0.02
    assert ours.repeats == 0


def test_no_choice_is_better_than_the_best_and_what_was_measured_claims_too_much() -> None:
    found = list(choices(0, 20, TABLE))
    assert len(found) > 8
    assert all(choice.possible >= max(choice.measured, choice.expected) for choice in found)
    claimed = statistics.mean(choice.claimed - choice.measured for choice in found)
    promised = statistics.mean(choice.promised - choice.expected for choice in found)
    assert claimed > abs(promised)


def test_every_method_replays(surrogate: Surrogate) -> None:
    for method in METHODS:
        course = replay(method, 1, 10, surrogate)
        assert 0 < course.found[10] < 1
