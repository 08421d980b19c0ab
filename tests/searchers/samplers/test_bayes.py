"""The sampler that models accuracy and knows MACs."""

import math

import numpy as np
import optuna
import pytest

from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace, Stage
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.proposals import Proposal, Proposer
from studies import objective as objectives
from studies.objective import MACS, Objective
from studies.pareto.front import front
from studies.pareto.hypervolume import hypervolume

TASK = Task(channels=3, size=(16, 16), classes=10)
SMALL = ResidualSpace("small", ("regular",), ((8, 16), (16,), (32,)), (1, 2))


def proposer(
    name: str = "bayes",
    space: ResidualSpace | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    objective: Objective = MACS,
    target: float | None = None,
) -> Proposer:
    space = space or get("mixed")
    problem = Problem(space, TASK, limits or Limits(), objective=objective, target=target)
    made = samplers.make(name, problem, seed)
    return Proposer(problem, made, seed)


def truth(architecture: Architecture) -> float:
    """A pretended accuracy: more MACs help, octave convolutions hurt, late xception helps."""
    layers = list(architecture.layers())
    octaves = sum(layer.conv.kind == "octave" for layer in layers) / len(layers)
    late = sum(layer.conv.kind == "xception" for layer in layers[-4:]) / 4
    return 0.3 + 0.05 * math.log10(predict(architecture, TASK).macs) - 0.1 * octaves + 0.08 * late


def search(source: Proposer, count: int, noise: float = 0.0, epochs: int = 1) -> list[Proposal]:
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        proposal = source.propose(epochs)
        assert proposal is not None
        source.tell(proposal, truth(proposal.architecture) + chance.normal(scale=noise), epochs)
        found.append(proposal)
    return found


def worth(
    found: list[Proposal],
    bounds: tuple[float, float] = (10**5, 10**8),
    objective: Objective = MACS,
) -> float:
    class Point:
        def __init__(self, proposal: Proposal) -> None:
            self.val_accuracy: float | None = truth(proposal.architecture)
            self.cost = objective.of(proposal.cost)

    return hypervolume([Point(p) for p in found], bounds)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_a_better_front_than_random_proposals_of_twice_the_number(seed: int) -> None:
    found = search(proposer(seed=seed), 40, noise=0.01)
    random = search(proposer("random", seed=seed), 80, noise=0.01)
    assert worth(found) > worth(random) + 0.01


def test_with_a_target_what_it_proposes_costs_nearly_as_much() -> None:
    target = 1_000_000
    found = search(proposer(limits=Limits(macs=target), target=target), 60, noise=0.01)[20:]
    assert all(proposal.cost.macs <= target for proposal in found)
    near = sum(proposal.cost.macs > 0.85 * target for proposal in found)
    wide = search(proposer(limits=Limits(macs=target)), 60, noise=0.01)[20:]
    assert near > 5
    assert near > 2 * sum(proposal.cost.macs > 0.85 * target for proposal in wide)


@pytest.mark.slow
def test_with_a_target_it_looks_for_accuracy_alone() -> None:
    target = 1_000_000
    best = []
    for aim in (target, None):
        found = search(proposer(limits=Limits(macs=target), target=aim), 80, noise=0.01)
        best.append(max(truth(proposal.architecture) for proposal in found))
    assert best[0] > best[1] + 0.005  # a tenth of what ten times the MACs bring


def test_the_first_networks_are_uniform_and_their_types_and_widths_differ() -> None:
    kinds = get("mixed").kinds
    first = search(proposer(), 12)
    for source in (first[: len(kinds)], first[len(kinds) :]):
        mains: list[str] = []
        for proposal in source:
            layers = [at.conv.kind for at in proposal.architecture.layers() if at.c_in]
            # A type that does not fit a width leaves a layer regular.
            mains += set(layers) - {"regular"} or {"regular"}
        assert len(mains) == len(set(mains)) == len(source)
    assert len({p.architecture.dimensions()["stage1.width"] for p in first[: len(kinds)]}) >= 4
    assert max(p.cost.macs for p in first) > 30 * min(p.cost.macs for p in first)


def test_with_a_target_inverted_bottlenecks_of_every_type_are_tried_first() -> None:
    target = 1_000_000
    first = search(proposer(limits=Limits(macs=target), target=target), 30)
    pairs = {stage.blocks[0] for p in first for stage in stages(p.architecture)}
    for kind in get("mixed").kinds:
        assert any((a.kind, str(b)) == (kind, "regular(kernel=1)") for a, b in pairs)
        assert any((str(a), b.kind) == ("regular(kernel=1)", kind) for a, b in pairs)


def stages(architecture: Architecture) -> tuple[Stage, ...]:
    assert isinstance(architecture, ResidualArchitecture)
    return architecture.stages


def test_its_proposals_keep_tight_limits_mostly_as_they_come() -> None:
    limits = Limits(macs=500_000, params=20_000)
    source = proposer(limits=limits)
    found = search(source, 20)
    assert len({p.architecture.key for p in found}) == 20
    assert all(limits.excess(p.cost) == 0 for p in found)
    # Almost no random one does; the first few are drawn before there is anything to learn from.
    assert (source.acceptance.share or 0) > 0.7


def test_another_objective_gives_a_better_front_of_that_cost() -> None:
    memory = objectives.OBJECTIVES.get("activation-memory")
    # Without stems that halve the image: with them few MACs mean little memory, too.
    space = get("mixed@2")
    bounds = Problem(space, TASK, Limits(), objective=memory).bounds
    for_macs = search(proposer(space=space), 40)
    for_memory = search(proposer(space=space, objective=memory), 40)
    assert worth(for_memory, bounds, memory) > worth(for_macs, bounds, memory) + 0.01


def test_what_runs_is_not_proposed_again() -> None:
    source = proposer()
    search(source, 13)
    running = [source.propose() for _ in range(6)]
    assert len({p.architecture.key for p in running if p is not None}) == 6


def test_a_small_space_is_exhausted() -> None:
    source = proposer(space=SMALL)
    found = search(source, SMALL.size())
    assert len({p.architecture.key for p in found}) == SMALL.size()
    assert source.propose() is None


def test_partial_accuracies_are_not_taken_for_full_ones() -> None:
    # After an epoch all networks are poor: full trainings of others must not look excellent.
    source = proposer()
    partial = [source.propose(1) for _ in range(14)]
    for proposal in filter(None, partial):
        source.tell(proposal, truth(proposal.architecture) - 0.3, 1)
    on = front_of([p for p in partial if p is not None])
    for proposal in on:
        source.tell(proposal, truth(proposal.architecture), 9)
    known = on + search(source, 12, epochs=9)
    others = search(proposer("random"), 40, epochs=9)
    assert worth(known) > worth(others)


def front_of(found: list[Proposal]) -> list[Proposal]:
    class Point:
        def __init__(self, proposal: Proposal) -> None:
            self.proposal = proposal
            self.val_accuracy: float | None = truth(proposal.architecture)
            self.cost = proposal.cost.macs

    return [point.proposal for point in front(Point(p) for p in found)]


def test_it_refuses_nothing_that_optuna_asks_of_a_sampler() -> None:
    problem = Problem(get("mixed"), TASK, Limits())
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=samplers.make("bayes", problem, 0)
    )
    study.optimize(
        lambda trial: (float(trial.suggest_categorical("other", ("0.1", "0.2"))), 1.0), n_trials=3
    )
    assert {trial.params["other"] for trial in study.trials} <= {"0.1", "0.2"}
