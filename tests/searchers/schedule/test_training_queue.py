"""What is trained next, and for how long."""

from typing import NamedTuple

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.samplers.baselines import Baselines
from searchers.schedule.proposals import Proposer
from searchers.schedule.rungs import Rungs
from searchers.schedule.training_queue import Assignment, TrainingQueue
from studies.records.tables import Study
from tests.examples import evaluation


class Scored(NamedTuple):
    val_accuracy: float | None
    cost: float


TASK = Task(channels=1, size=(8, 8), classes=10)
FAR = 10**6
"""Room enough that the end is far away."""


def queue(*rungs: int, sampler: str = "random", seed: int = 0) -> TrainingQueue:
    problem = Problem(get("mixed"), TASK, Limits())
    proposer = Proposer(problem, samplers.make(sampler, problem, seed), seed)
    return TrainingQueue(proposer, Rungs(rungs))


def following(source: TrainingQueue, room: int = FAR) -> Assignment:
    found = source.next(room)
    assert found is not None
    return found


def test_new_networks_begin_on_the_lowest_rung_and_the_best_go_on() -> None:
    source = queue(1, 3, 9)
    new = [following(source) for _ in range(3)]
    assert all((a.epochs, a.start, a.work) == (1, 0, 1) for a in new)
    for assignment, accuracy in zip(new, (0.1, 0.1, 0.1), strict=True):
        source.tell(assignment, accuracy)
    smallest = min(new, key=lambda a: a.cost.macs)
    on = following(source)
    assert on == Assignment(smallest.proposal, 3, 1)
    assert following(source).start == 0


def test_one_rung_trains_every_network_to_the_end() -> None:
    source = queue(6)
    for number in range(5):
        found = following(source)
        assert (found.epochs, found.start) == (6, 0)
        source.tell(found, number / 10)


def test_near_the_end_what_has_begun_is_finished_and_nothing_stays_partial() -> None:
    source = queue(1, 3)
    first = following(source)
    source.tell(first, 0.5)
    assert following(source, room=6) == Assignment(first.proposal, 3, 1)
    new = following(source, room=5)
    assert (new.epochs, new.start) == (3, 0)


def with_baselines(
    budget: int, *rungs: int, target: float | None = None
) -> tuple[TrainingQueue, Baselines]:
    problem = Problem(get("mixed"), TASK, Limits(), target=target)
    proposer = Proposer(problem, samplers.make("random", problem, 0), 0)
    baselines = Baselines(problem, budget)
    return TrainingQueue(proposer, Rungs(rungs, problem.octave), baselines), baselines


def test_hand_designed_networks_are_trained_first_and_to_the_end() -> None:
    source, baselines = with_baselines(36, 1, 3, 9)
    first = [following(source) for _ in range(3)]
    assert [found.architecture for found in first] == baselines.opening
    assert all((found.epochs, found.start) == (9, 0) for found in first)
    after = following(source)
    assert (after.architecture.by_hand, after.epochs) == (None, 1)


def test_what_was_trained_before_is_not_trained_again_as_a_baseline() -> None:
    source, baselines = with_baselines(36, 6)
    first, second, third = baselines.opening
    done = evaluation(Study(id=1), 0, 0.5, key=second.key, architecture=second.to_json())
    source.learn([done])
    assert [following(source).architecture for _ in range(2)] == [first, third]
    assert following(source).architecture.by_hand is None


def test_at_the_end_the_nearest_hand_designed_networks_below_the_answer_are_trained() -> None:
    source, baselines = with_baselines(24, 6, target=3e6)
    begun = [following(source) for _ in range(8)]
    for found in begun:
        source.tell(found, 0.9 if found.cost.macs <= 3_000_000 else 0.1)
    best = min(found.cost.macs for found in begun)  # all others are no more accurate
    last = [following(source, room=room * 6).architecture for room in (2, 1)]
    unseen = [a for a in baselines.beside([Scored(0.9, best)]) if a not in baselines.opening]
    assert last == unseen[:2]
    assert following(source, room=6).architecture.by_hand is None, "no more than two"


def test_what_an_earlier_run_has_left_is_taken_up() -> None:
    owner = Study(id=1)
    known = [evaluation(owner, number, 0.2, epochs=1) for number in range(3)]
    source = queue(1, 3)
    source.learn(known)
    on = following(source)
    assert on.architecture.key == min(known, key=lambda row: row.macs).key
    assert (on.epochs, on.start) == (3, 1)


def test_a_training_that_was_cut_off_is_not_begun_by_the_rungs_as_well() -> None:
    owner = Study(id=1)
    known = [evaluation(owner, number, 0.2, epochs=1) for number in range(3)]
    source, other = queue(1, 3), queue(1, 3)
    source.learn(known)
    other.learn(known)
    going_on = following(other)
    resumed = source.resume(going_on.architecture, 3, 1)
    assert resumed == going_on
    assert following(source).start == 0


def test_samplers_go_on_with_partial_and_full_accuracies() -> None:
    for name in samplers.SAMPLERS:
        if name == "gp":  # a second a proposal
            continue
        source = queue(1, 3, 9, sampler=name)
        for number in range(60):
            found = following(source)
            source.tell(found, None if number % 7 == 0 else found.epochs / 20)
