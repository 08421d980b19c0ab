"""The facts of a report on a study, gathered before anything is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from nas_space.convs import TYPES
from nas_space.costs.cost import Task, predict
from nas_space.spaces import registry as spaces
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.space import UnknownSpaceError
from studies import objective
from studies.analysis.layer_costs import task_of
from studies.model.accuracy import Candidate, better_than_measured, candidates
from studies.objective import Objective, metric_of, target_of
from studies.pareto.by_hand import Gain, gain
from studies.pareto.front import Scored, front
from studies.pareto.knee import knee
from studies.records.fidelity import complete
from studies.records.store import Store
from studies.records.tables import Evaluation, Retraining, Status, Study
from studies.retraining.retrained_front import NotRetrainedError, RetrainedFront, retrained_front
from trainers.data.balance import Largest
from trainers.metrics import Metric


class Judged(Scored, Protocol):
    """A network with an accuracy that is surer than that of one training."""

    @property
    def number(self) -> int:
        """The number of the trial."""

    @property
    def evaluation(self) -> Evaluation:
        """The training that the search made."""


@dataclass(frozen=True)
class Facts:
    """A study and its evaluations.

    Attributes:
        study: as stored.
        evaluations: all of the study, by number.
        retrainings: of its front, with fresh seeds.
        shown_url: the database, without a password.
    """

    study: Study
    evaluations: Sequence[Evaluation]
    retrainings: Sequence[Retraining]
    shown_url: str

    @classmethod
    def of(cls, store: Store, name: str | None) -> "Facts":
        """The facts of the study of that name, see `Store.study`."""
        study = store.study(name)
        return cls(study, store.evaluations(study), store.retrainings(study), store.shown_url)

    @cached_property
    def objective(self) -> Objective:
        """What was made small."""
        return objective.of(self.study)

    @cached_property
    def task(self) -> Task:
        """What the networks are for."""
        return task_of(self.study)

    @property
    def largest(self) -> Largest | None:
        """The largest class of the validation images; None in studies of before 2026-12.

        None, too, where something else than accuracy is measured, with which it says nothing.
        """
        found = self.study.dataset.get("largest") if self.metric.is_accuracy else None
        return None if found is None else Largest(**found)

    @property
    def images(self) -> int | None:
        """Of how many validation images accuracies are shares.

        None in studies of before 2026-12-02, and where a user's own score is no such share.
        """
        found: int | None = self.study.dataset.get("val_images")
        return found if self.metric.is_accuracy else None

    @property
    def constant(self) -> bool:
        """Whether several networks were trained to the end, and all are equally accurate."""
        return len(self.complete) > 1 == len({entry.val_accuracy for entry in self.complete})

    @cached_property
    def complete(self) -> list[Evaluation]:
        """The full trainings that have finished."""
        finished = [entry for entry in self.evaluations if entry.status is Status.FINISHED]
        return complete(finished, self.study)

    @cached_property
    def partial(self) -> list[Evaluation]:
        """The trainings that stopped on a lower rung."""
        full = self.study.recipe["epochs"]
        return [e for e in self.evaluations if e.status is Status.FINISHED and e.epochs < full]

    @cached_property
    def failed(self) -> list[Evaluation]:
        """The evaluations without an accuracy."""
        return [entry for entry in self.evaluations if entry.status is Status.FAILED]

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The full trainings that have finished, by expected accuracy."""
        return candidates(self.study, self.evaluations)

    @property
    def modelled(self) -> bool:
        """Whether expected accuracies are a model's, and not the measured ones."""
        return any(found.val_accuracy != found.evaluation.val_accuracy for found in self.candidates)

    @cached_property
    def shown(self) -> list[Evaluation]:
        """The front and the knee, by ascending cost."""
        members = {entry.number: entry for entry in self.front}
        if self.knee is not None:
            members.setdefault(self.knee.number, self.knee)
        return sorted(members.values(), key=lambda entry: entry.cost)

    @cached_property
    def front(self) -> list[Evaluation]:
        """The Pareto front, by ascending cost."""
        return front(self.complete)

    @cached_property
    def knee(self) -> Evaluation | None:
        """The network from which on more cost stops paying, see `judged`."""
        return knee(self.judged).evaluation if self.front else None

    @cached_property
    def judged(self) -> Sequence[Judged]:
        """The front by means of fresh seeds if there are any, or else by expected accuracies."""
        again = self.retrained_front
        return front(self.candidates) if again is None else again.front

    @cached_property
    def target(self) -> float | None:
        """The cost that the search was about; None is all costs."""
        return target_of(self.study)

    @cached_property
    def gain(self) -> Gain | None:
        """What the search is worth at the knee, or within its target."""
        return gain(self.candidates, self.images, self.target, self.metric)

    @cached_property
    def retrained_front(self) -> RetrainedFront | None:
        """The front by fresh seeds; None if no training with them has finished."""
        try:
            others = better_than_measured(self.study, self.evaluations)
            found = retrained_front(self.front, self.retrainings, others=others)
        except NotRetrainedError:
            return None
        return found if found.front else None

    @cached_property
    def architectures(self) -> dict[int, Architecture]:
        """Architectures of the full trainings, by number."""
        return {e.number: e.parsed_architecture for e in self.complete}

    @property
    def metric(self) -> Metric:
        """What was made large."""
        return metric_of(self.study)

    @cached_property
    def has_layers(self) -> bool:
        """Whether convolutions are choices of their own."""
        return any(True for made in self.architectures.values() for _ in made.layers())

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """All types of convolution, and those that a backbone's unchanged layers have."""
        found = {layer.conv.kind for made in self.architectures.values() for layer in made.layers()}
        return tuple(sorted(found.union(TYPES)))

    @cached_property
    def box(self) -> tuple[float, float]:
        """Costs between which hypervolumes are measured.

        They are those of the cheapest and the dearest network of the space, as in the search. If
        these have no closed form, or the space is unknown here, trained networks give them.
        """
        measure = self.objective.measure
        try:
            space = spaces.recorded(self.study.space)
        except UnknownSpaceError:
            measure = None
        if measure is not None and measure in space.measures:
            ends = space.smallest(self.task, measure), space.largest(self.task, measure)
            low, high = (self.objective.of(predict(end, self.task)) for end in ends)
            return low, high
        costs = [entry.cost for entry in self.complete] or [1.0, 2.0]
        return min(costs), max(costs)
