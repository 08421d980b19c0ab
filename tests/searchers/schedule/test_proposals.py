"""Proposals are unseen and within the limits, whatever the sampler."""

import math
import random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.costs.cost import Task, predict
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.space import Measure
from searchers.limits import ImpossibleLimitError, Limits, check_limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.samplers.observations import Observation, memorable
from searchers.samplers.registry import UnknownSamplerError
from searchers.schedule import proposals
from searchers.schedule.proposals import Proposal, Proposer
from studies.objective import OBJECTIVES
from studies.pareto.front import front
from studies.records.tables import Evaluation
from tests.examples import evaluation, study

TASK = Task(channels=3, size=(32, 32), classes=10)
SMALL = ResidualSpace("small", ("regular",), widths=((8, 16), (16, 32)), depths=(1, 2))
every_sampler = pytest.mark.parametrize("name", samplers.SAMPLERS)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def proposer(
    name: str = "random",
    space: ResidualSpace | None = None,
    limits: Limits | None = None,
    seed: int = 0,
) -> Proposer:
    problem = Problem(space or get("mixed"), TASK, limits or Limits())
    sampler = samplers.make(name, problem, seed)
    return Proposer(problem, sampler, seed)


def score(proposal: Proposal) -> float:
    """A pretended accuracy that more MACs, and regular convolutions above all, raise."""
    regular = sum(layer.conv.kind == "regular" for layer in proposal.architecture.layers())
    return 1 - 1 / math.log10(proposal.cost.macs) + 0.02 * regular


def proposed(source: Proposer, count: int) -> list[Proposal]:
    found = []
    for _ in range(count):
        proposal = source.propose()
        assert proposal is not None
        source.tell(proposal, score(proposal))
        found.append(proposal)
    return found


@every_sampler
def test_no_architecture_is_proposed_twice_and_costs_are_right(name: str) -> None:
    found = proposed(proposer(name), 24)
    assert len({proposal.architecture for proposal in found}) == 24
    assert all(p.cost == predict(p.architecture, TASK) for p in found)


@every_sampler
def test_every_proposal_keeps_the_limits(name: str) -> None:
    # Almost no architecture drawn at random is this small.
    limits = Limits(macs=2_000_000, params=30_000)
    for proposal in proposed(proposer(name, limits=limits), 23):
        assert proposal.cost.macs <= 2_000_000
        assert proposal.cost.params <= 30_000


@every_sampler
def test_the_same_seed_proposes_the_same(name: str) -> None:
    first, second, other = (proposed(proposer(name, seed=seed), 15) for seed in (3, 3, 4))
    assert [p.architecture for p in first] == [p.architecture for p in second]
    assert [p.architecture for p in first] != [p.architecture for p in other]


def test_a_space_is_exhausted_without_repeats_and_then_says_so() -> None:
    source = proposer("tpe", SMALL)
    found = proposed(source, SMALL.size())
    assert len({proposal.architecture for proposal in found}) == SMALL.size()
    assert source.propose() is None


def test_failed_and_running_architectures_are_not_proposed_again() -> None:
    source = proposer("random", SMALL)
    seen = set()
    for i in range(SMALL.size()):
        proposal = source.propose()
        assert proposal is not None
        seen.add(proposal.architecture)
        if i % 2:
            source.tell(proposal, None)
    assert len(seen) == SMALL.size()


def as_evaluations(found: list[Proposal]) -> list[Evaluation]:
    owner = study()
    return [
        evaluation(
            owner,
            number,
            None if number % 5 == 4 else score(p),
            key=p.architecture.key,
            architecture=p.architecture.to_json(),
            macs=p.cost.macs,
        )
        for number, p in enumerate(found)
    ]


@every_sampler
def test_a_proposer_that_learns_earlier_evaluations_repeats_none_of_them(name: str) -> None:
    earlier = proposed(proposer(name), 22)
    again = proposer(name, seed=1)
    again.learn(as_evaluations(earlier))
    new = proposed(again, 5)
    assert not {p.architecture for p in earlier} & {p.architecture for p in new}


def drawn(count: int, **fixed: str) -> list[Proposal]:
    chance, space = random.Random(0), get("mixed")
    labels = [{p.name: chance.choice(p.labels) for p in space.parameters} for _ in range(count)]
    architectures = [space.decode(found | fixed) for found in labels]
    return [Proposal(a, predict(a, TASK)) for a in architectures]


def test_tpe_prefers_what_did_well_in_earlier_evaluations() -> None:
    def regulars(found: list[Proposal]) -> float:
        kinds = [layer.conv.kind for p in found for layer in p.architecture.layers()]
        return kinds.count("regular") / len(kinds)

    earlier = drawn(60)
    source = proposer("tpe", seed=1)
    source.learn(as_evaluations(earlier))
    assert regulars(proposed(source, 30)) > regulars(earlier)


def test_nsga2_breeds_from_earlier_evaluations() -> None:
    # All parents share a width; children drawn at random would have it one time in six.
    source = proposer("nsga2", seed=1)
    source.learn(as_evaluations(drawn(40, **{"stage1.width": "64"})))
    children = [p.architecture.dimensions()["stage1.width"] for p in proposed(source, 20)]
    assert children.count("64") > 15


@every_sampler
def test_a_sampler_that_forgets_repeats_nothing_and_loses_no_proposal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "_MOST_OBSERVATIONS", 12)
    monkeypatch.setattr(proposals, "_KEPT_OBSERVATIONS", 8)
    source = proposer(name)
    out = [source.propose() for _ in range(3)]
    found = proposed(source, 40)
    assert 8 <= len(source._observations) <= 12
    assert len(source._study.trials) < 30
    for proposal in out:
        assert proposal is not None
        source.tell(proposal, 0.5)
    keys = [p.architecture.key for p in (*out, *found) if p is not None]
    assert len(set(keys)) == 43


observations = st.lists(
    st.builds(
        Observation,
        st.just({"stage1.width": "8"}),
        st.floats(0, 1, width=16),
        st.integers(1, 50),
        st.just(6),
    ),
    min_size=12,
    max_size=40,
)


@given(observations)
def test_what_is_remembered_is_the_front_and_the_latest_in_order(found: list[Observation]) -> None:
    kept = memorable(found, 12)
    places = [next(i for i, observation in enumerate(found) if observation is k) for k in kept]
    assert len(kept) == 12
    assert places == sorted(set(places))
    assert kept[-6:] == found[-6:]
    best = front(found[:-6])
    assert all(any(k is member for k in kept) for member in best) or len(best) > 6


def test_learning_takes_no_notice_of_another_spaces_architectures() -> None:
    source = proposer("tpe", SMALL)
    source.learn(as_evaluations(proposed(proposer("random"), 5)))
    assert source.propose() is not None


@pytest.mark.parametrize("measure", ["macs", "params", "activation_memory"])
def test_an_impossible_limit_names_the_smallest_that_is_possible(measure: Measure) -> None:
    space = get("mixed")
    least = getattr(predict(space.smallest(TASK, measure), TASK), measure)
    option = measure.replace("_", "-")
    aim = OBJECTIVES.get(option)
    check_limits(space, TASK, Limits().at_most(aim, least))
    with pytest.raises(ImpossibleLimitError, match=rf"--max-{option} 5 .* has {least}$"):
        check_limits(space, TASK, Limits().at_most(aim, 5))


def test_an_unknown_sampler_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownSamplerError, match="'cmaes'; known samplers: bayes, tpe, nsga2"):
        samplers.make("cmaes", Problem(get("mixed"), TASK, Limits()), 0)
