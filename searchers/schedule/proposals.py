"""What to train next: Optuna's ask and tell in memory, within limits and without repeats.

An Optuna storage commits once per parameter (110 to 600 ms a proposal on SQLite), so the sampler
gets a study in memory, filled from our own rows.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.trial import TrialState, create_trial

from nas_space.costs.cost import Cost
from nas_space.errors import ConvnasError, error_line
from nas_space.spaces.architecture import Architecture
from searchers.problem import Problem
from searchers.samplers.observations import EPOCHS, Observation, memorable
from studies.records.tables import Evaluation

_MOST_MUTATIONS = 2000
"""Mutations to try for one proposal; if none is unseen and within the limits, the search ends."""
_MOST_OBSERVATIONS = 450
"""Most evaluations that a sampler sees: a proposal takes longer with each."""
_KEPT_OBSERVATIONS = 300
"""How many it keeps when there are more."""


class SamplerFailedError(ConvnasError):
    """A sampler that raised an error."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An architecture to evaluate, and what it costs."""

    architecture: Architecture
    cost: Cost


class Proposer:
    """Proposes architectures that are unseen and within the limits.

    Any other proposal is mutated, one parameter at a time, until it is both. The sampler is then
    told the mutant, so that it learns what was trained.

    Args:
        problem: what is searched.
        sampler: of Optuna, or one with the same interface.
        seed: of the mutations.

    Attributes:
        acceptance: of the sampler's proposals.
    """

    def __init__(self, problem: Problem, sampler: BaseSampler, seed: int) -> None:
        self._problem = problem
        self._space = problem.space
        self._labels = {p.name: p.labels for p in problem.space.parameters}
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(labels) for name, labels in self._labels.items()
        }
        self._study = _new_study(sampler)
        self._random = random.Random(seed)
        self._seen: set[str] = set()
        self._observations: list[Observation] = []
        self._open: dict[str, _Open] = {}
        self.acceptance = Acceptance()

    def learn(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn evaluations of earlier runs, or of other searches that run now."""
        self._seen.update(evaluation.key for evaluation in evaluations)
        finished = [e for e in evaluations if e.val_accuracy is not None]
        if len(finished) > _MOST_OBSERVATIONS:
            finished = memorable(finished, _KEPT_OBSERVATIONS)
        for evaluation in finished:
            labels = self._space.encode(evaluation.parsed_architecture)
            if labels is not None and evaluation.val_accuracy is not None:
                observation = Observation(
                    labels, evaluation.val_accuracy, evaluation.cost, evaluation.epochs
                )
                self._observations.append(observation)
                self._add(observation)
        if len(self._observations) > _MOST_OBSERVATIONS:
            self._forget()

    def resume(self, architecture: Architecture, epochs: int = 1) -> Proposal:
        """An architecture that an earlier run proposed, as a proposal of this run.

        Args:
            architecture: to be trained.
            epochs: of its training.
        """
        labels = self._space.encode(architecture)
        self._seen.add(architecture.key)
        if labels is not None:
            self._open[architecture.key] = _Open(labels, epochs, self._start(labels, epochs))
        return self.known(architecture)

    def has_seen(self, architecture: Architecture) -> bool:
        """Whether an architecture was proposed or evaluated."""
        return architecture.key in self._seen

    def known(self, architecture: Architecture) -> Proposal:
        """A known architecture as a proposal; the sampler is not asked."""
        return Proposal(architecture, self._problem.cost(architecture))

    def price(self, proposal: Proposal) -> float:
        """The cost of a proposal that the search makes small."""
        return self._problem.objective.of(proposal.cost)

    def propose(self, epochs: int = 1) -> Proposal | None:
        """The next architecture to evaluate; None if no unseen one can be found.

        Args:
            epochs: that it will be trained for.

        Raises:
            SamplerFailedError: the sampler raised an error.
        """
        with _sampler_at_work():
            trial = self._study.ask(self._distributions)
        trial.set_user_attr(EPOCHS, epochs)
        wanted = dict(trial.params)
        labels = self._admissible(wanted)
        if labels is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        number = trial.number
        self.acceptance.count(accepted=labels == wanted)
        if labels != wanted:
            self._study.tell(trial, state=TrialState.FAIL)
            number = self._start(labels, epochs)
        architecture = self._space.decode(labels)
        self._seen.add(architecture.key)
        self._open[architecture.key] = _Open(labels, epochs, number)
        return self.known(architecture)

    def tell(self, proposal: Proposal, val_accuracy: float | None, epochs: int = 1) -> None:
        """Report the result of a proposal.

        Args:
            proposal: of this proposer, or an architecture that went up a rung.
            val_accuracy: after its training; None means that it failed.
            epochs: of its training.
        """
        told = self._open.pop(proposal.architecture.key, None)
        if val_accuracy is None:
            if told is not None:
                self._study.tell(told.number, state=TrialState.FAIL)
            return
        labels = self._space.encode(proposal.architecture) if told is None else told.labels
        if labels is None:  # of another space: the sampler cannot learn from it
            return
        observation = Observation(labels, val_accuracy, self.price(proposal), epochs)
        if told is None:
            self._add(observation)
        else:
            with _sampler_at_work():
                self._study.tell(told.number, observation.values)
        self._observations.append(observation)
        if len(self._observations) > _MOST_OBSERVATIONS:
            self._forget()

    def _forget(self) -> None:
        """Begin a new study, with the observations to keep and the running trials."""
        self._observations = memorable(self._observations, _KEPT_OBSERVATIONS)
        self._study = _new_study(self._study.sampler)
        for observation in self._observations:
            self._add(observation)
        for key, out in self._open.items():
            self._open[key] = replace(out, number=self._start(out.labels, out.epochs))

    def _add(self, observation: Observation) -> None:
        """Add a finished trial, as if the sampler had proposed it."""
        self._study.tell(self._start(observation.labels, observation.epochs), observation.values)

    def _start(self, labels: dict[str, str], epochs: int) -> int:
        """Add a running trial, as if the sampler had proposed these labels; its number."""
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=labels,
                distributions=self._distributions,
                user_attrs={EPOCHS: epochs},
            )
        )
        trial = self._study.get_trials(deepcopy=False)[-1]
        sampler = self._study.sampler
        if isinstance(sampler, BaseGASampler):
            # Genetic samplers breed only from trials with a generation, and give none to trials
            # that they did not propose.
            sampler.get_trial_generation(self._study, trial)
        return trial.number

    def _admissible(self, labels: dict[str, str]) -> dict[str, str] | None:
        """Labels of an unseen architecture within the limits, by a random walk; None if none."""
        excess = self._excess(labels)
        for _ in range(_MOST_MUTATIONS):
            if excess == 0 and self._space.decode(labels).key not in self._seen:
                return labels
            if not self._labels:  # a space of one network
                break
            name = self._random.choice(list(self._labels))
            mutant = labels | {name: self._random.choice(self._labels[name])}
            after = self._excess(mutant)
            if after <= excess:
                labels, excess = mutant, after
        return None

    def _excess(self, labels: dict[str, str]) -> float:
        problem = self._problem
        return problem.limits.excess(problem.cost(problem.space.decode(labels)))


@dataclass(slots=True)
class Acceptance:
    """How many proposals of the sampler were unseen and within the limits, unchanged."""

    proposed: int = 0
    accepted: int = 0

    def count(self, *, accepted: bool) -> None:
        """Count one more."""
        self.proposed += 1
        self.accepted += accepted

    @property
    def share(self) -> float | None:
        """The accepted share, 0 to 1; None before the first."""
        return self.accepted / self.proposed if self.proposed else None


@dataclass(frozen=True, slots=True)
class _Open:
    """A proposal in training: its labels, its epochs, and its number in the sampler's study."""

    labels: dict[str, str]
    epochs: int
    number: int


@contextlib.contextmanager
def _sampler_at_work() -> Iterator[None]:
    """Turn any error of a sampler, which may be the user's own, into one line."""
    try:
        yield
    except Exception as error:
        raise SamplerFailedError(
            f"the sampler cannot go on ({error_line(error)}): choose another --sampler"
        ) from error


def _new_study(sampler: BaseSampler) -> optuna.Study:
    return optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
