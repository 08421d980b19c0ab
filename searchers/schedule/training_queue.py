"""Which training comes next and how long it is: a network that goes up a rung, or a new one."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_space.costs.cost import Cost
from nas_space.spaces.architecture import Architecture
from searchers.samplers.baselines import Baselines
from searchers.schedule.proposals import Proposal, Proposer
from searchers.schedule.rungs import Promotion, RungResult, Rungs
from studies.records.tables import Evaluation

_LAST_TRAININGS = 2
"""So close to the end, in full trainings, no partial training begins any more."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A training to do.

    Attributes:
        proposal: what is trained, and what it costs.
        epochs: of the training.
        start: epochs of these that are in a checkpoint, if it is not lost.
    """

    proposal: Proposal
    epochs: int
    start: int = 0

    @property
    def architecture(self) -> Architecture:
        """What is trained."""
        return self.proposal.architecture

    @property
    def cost(self) -> Cost:
        """The cost of the network."""
        return self.proposal.cost

    @property
    def work(self) -> int:
        """Epochs that are left to train."""
        return self.epochs - self.start


class TrainingQueue:
    """Decides which training comes next, from proposals and rungs. It trains and records nothing.

    Args:
        proposer: of new networks.
        rungs: of the search; with a single rung every network is trained to the end.
        baselines: hand-designed networks, which are trained to the end; None for none.
    """

    def __init__(
        self, proposer: Proposer, rungs: Rungs, baselines: Baselines | None = None
    ) -> None:
        self._proposer = proposer
        self._baselines = baselines
        self._opening = list(baselines.opening) if baselines else []
        self._closing = baselines.closing if baselines else 0
        self._rungs = rungs
        self._architectures: dict[str, Architecture | Evaluation] = {}

    @property
    def acceptance(self) -> float | None:
        """See `searchers.schedule.proposals.Acceptance.share`."""
        return self._proposer.acceptance.share

    @property
    def full(self) -> int:
        """Epochs of a full training."""
        return self._rungs.full

    @property
    def first(self) -> int:
        """Epochs that a new network is trained for."""
        return self._rungs.first

    def learn(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn evaluations of earlier runs, or of other searches that run now."""
        self._proposer.learn(evaluations)
        self._rungs.learn(evaluations)
        for evaluation in evaluations:
            self._remember(evaluation.key, evaluation.epochs, evaluation)

    def resume(self, architecture: Architecture, epochs: int, start: int) -> Assignment:
        """A training that an earlier run began, as one of this run."""
        self._rungs.leave(architecture.key, epochs)
        return Assignment(self._proposer.resume(architecture, epochs), epochs, start)

    def next(self, room: int) -> Assignment | None:
        """The next training; None if no unseen architecture can be found.

        Args:
            room: epochs left of the budget, without those in training.
        """
        baseline = self._baseline(room)
        if baseline is not None:
            return Assignment(self._proposer.resume(baseline, self.full), self.full)
        at_last = room <= _LAST_TRAININGS * self.full
        promotion = self._rungs.promotion()
        if promotion is None and at_last:
            promotion = self._rungs.finish()
        if promotion is not None:
            return self._promoted(promotion)
        epochs = self.full if at_last else self.first
        proposal = self._proposer.propose(epochs)
        return None if proposal is None else Assignment(proposal, epochs)

    def _baseline(self, room: int) -> Architecture | None:
        """The hand-designed network whose turn it is; None if it is none's."""
        while self._opening:
            baseline = self._opening.pop(0)
            if not self._proposer.has_seen(baseline):
                return baseline
        if self._baselines is None or not 0 < room <= self._closing * self.full:
            return None
        self._closing -= 1
        beside = self._baselines.beside(self._rungs.complete)
        return next((near for near in beside if not self._proposer.has_seen(near)), None)

    def tell(self, assignment: Assignment, val_accuracy: float | None) -> None:
        """Report the accuracy of a training; None if it failed, or another search does it."""
        architecture, epochs = assignment.architecture, assignment.epochs
        self._proposer.tell(assignment.proposal, val_accuracy, epochs)
        cost = self._proposer.price(assignment.proposal)
        result = RungResult(architecture.key, val_accuracy, cost)
        self._rungs.tell(epochs, result, failed=val_accuracy is None)
        self._remember(architecture.key, epochs, architecture)

    def _promoted(self, promotion: Promotion) -> Assignment:
        self._rungs.leave(promotion.key, promotion.epochs)
        known = self._architectures.pop(promotion.key)
        if isinstance(known, Evaluation):
            known = known.parsed_architecture
        return Assignment(self._proposer.known(known), promotion.epochs, promotion.start)

    def _remember(self, key: str, epochs: int, known: Architecture | Evaluation) -> None:
        """Keep what may go up, unparsed: to parse 10,000 architectures takes seconds."""
        if epochs < self.full:
            self._architectures[key] = known
