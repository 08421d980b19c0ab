"""What to train next: Optuna's ask and tell in memory, within limits and without repeats.

An Optuna storage commits once a parameter (110 to 600 ms a proposal on SQLite), so the sampler
works on a study in memory that is filled from our own rows.
"""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.trial import TrialState

from nas_space.architecture import Architecture
from nas_space.cost import Cost, Task, predict
from nas_space.spaces import Space
from searchers.limits import Limits
from studies.records import Evaluation

_MUTATIONS = 2000
"""So many steps without an unseen architecture within the limits end the search."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture to evaluate, what it costs, and the sampler's number for it."""

    architecture: Architecture
    cost: Cost
    ticket: int


class Proposer:
    """Proposes architectures that are unseen and within the limits.

    A proposal that is neither is mutated, a parameter at a time, until it is both; the sampler is
    then told about the mutant, so that what it learns is what was trained.

    Args:
        space: where the architectures come from.
        task: what they are for.
        sampler: Optuna's.
        limits: see `Limits`.
        seed: of the mutations.
    """

    def __init__(
        self, space: Space, task: Task, sampler: BaseSampler, limits: Limits, seed: int
    ) -> None:
        self._space = space
        self._task = task
        self._limits = limits
        self._labels = {p.name: p.labels for p in space.parameters}
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(labels) for name, labels in self._labels.items()
        }
        self._study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        self._random = random.Random(seed)
        self._seen: set[str] = set()

    def learn(self, evaluations: Iterable[Evaluation]) -> None:
        """Take in evaluations of an earlier run."""
        for evaluation in evaluations:
            self._seen.add(evaluation.key)
            labels = self._space.encode(Architecture.from_json(evaluation.architecture))
            if labels is None or evaluation.val_accuracy is None:
                continue
            trial = self._ask(labels)
            self._study.tell(trial, _values(evaluation.val_accuracy, evaluation.macs))

    def propose(self) -> Proposal | None:
        """The next architecture to evaluate; None if no unseen one can be found."""
        trial = self._study.ask(self._distributions)
        wanted = dict(trial.params)
        labels = self._admissible(wanted)
        if labels is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        if labels != wanted:
            self._study.tell(trial, state=TrialState.FAIL)
            trial = self._ask(labels)
        architecture = self._space.decode(labels)
        self._seen.add(architecture.key)
        return Proposal(architecture, predict(architecture, self._task), trial.number)

    def tell(self, proposal: Proposal, val_accuracy: float | None) -> None:
        """Report how a proposal fared; None means that it failed."""
        if val_accuracy is None:
            self._study.tell(proposal.ticket, state=TrialState.FAIL)
        else:
            self._study.tell(proposal.ticket, _values(val_accuracy, proposal.cost.macs))

    def _ask(self, labels: dict[str, str]) -> optuna.Trial:
        """A trial with these labels, as if the sampler had proposed them."""
        self._study.enqueue_trial(labels)
        trial = self._study.ask(self._distributions)
        sampler = self._study.sampler
        if isinstance(sampler, BaseGASampler):
            # Genetic samplers breed only from trials marked with a generation, and mark none whose
            # parameters are all given.
            frozen = self._study.get_trials(deepcopy=False)[trial.number]
            sampler.get_trial_generation(self._study, frozen)
        return trial

    def _admissible(self, labels: dict[str, str]) -> dict[str, str] | None:
        """The nearest labels, by a random walk, of an unseen architecture within the limits."""
        excess = self._excess(labels)
        for _ in range(_MUTATIONS):
            if excess == 0 and self._space.decode(labels).key not in self._seen:
                return labels
            name = self._random.choice(list(self._labels))
            mutant = labels | {name: self._random.choice(self._labels[name])}
            after = self._excess(mutant)
            if after <= excess:
                labels, excess = mutant, after
        return None

    def _excess(self, labels: dict[str, str]) -> float:
        return self._limits.excess(predict(self._space.decode(labels), self._task))


def _values(val_accuracy: float, macs: int) -> list[float]:
    # Samplers weigh volumes, and a factor of two in MACs is worth as much anywhere on the front.
    return [val_accuracy, math.log10(macs)]
