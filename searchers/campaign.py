"""The books of one search: what is proposed, running, recorded, and when it is over."""

import enum
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from searchers.failures import Failures
from searchers.proposals import Proposal, Proposer
from searchers.timelimits import TimeLimit
from studies.database import StoreError
from studies.front import front, hypervolume
from studies.ledger import MOST_LOSSES, Ledger, Verdict
from studies.outbox import Outbox
from studies.records import Evaluation, Status, Study

_PAUSE = 0.5
"""Seconds until others are asked again whether they have left something to do."""


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a number may depend on."""
    libraries = ("convnas", "torch", "numpy", "optuna", "ray")
    return {"python": platform.python_version()} | {
        library: importlib.metadata.version(library) for library in libraries
    }


class Answer(enum.Enum):
    """What `Campaign.next` says when it has no proposal."""

    WAIT = "wait"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a search stands.

    Attributes:
        finished: evaluations with an accuracy, those of earlier runs included.
        failed: evaluations without one, likewise.
        running: trials on workers now.
        budget: finished evaluations at which the search is over.
        best: highest validation accuracy so far.
        hypervolume: see `studies.front.hypervolume`.
        seconds_left: estimate; None before the first evaluation of this run.
    """

    finished: int
    failed: int
    running: int
    budget: int
    best: float | None
    hypervolume: float
    seconds_left: float | None


class View(Protocol):
    """Where others look at a study, such as `studies.mirror.Mirror`."""

    def catch_up(self, evaluations: Iterable[Evaluation]) -> None:
        """Show the evaluations that are not there yet."""

    def add(self, evaluation: Evaluation) -> None:
        """Show one more."""

    def close(self) -> None:
        """Close all connections."""


@dataclass(slots=True)
class _Run:
    """A trial that is out.

    Attributes:
        proposal: what it trains.
        failures: in a row, when it was handed out.
        began: when its worker took it up.
    """

    proposal: Proposal
    failures: int
    began: float | None = None


@dataclass(slots=True)
class Campaign:
    """Hands out proposals and records what comes back, one transaction an evaluation.

    The budget counts finished evaluations; failed ones are rows beside it. All state that matters
    is in the database: a new campaign on the same study goes on where the last one ended, and
    several at once share the budget.

    If the database fails, nothing more is proposed, and what still comes back goes to the outbox.

    Attributes:
        study: as stored.
        ledger: what is this search's of the study.
        outbox: where results go that the database does not take.
        mirror: the same study for Optuna's dashboard.
        proposer: fresh; it is taught the study's evaluations here.
        limit: how long trials may take; it is taught, too.
        budget: finished evaluations to reach.
        concurrency: trials at a time.
        seed: of every evaluation's weights and data order.
        bounds: MACs of the smallest and largest network, the box of the hypervolume.
        watch: called with a `Snapshot` after every change, once the freed worker is busy again.
        over_because: why it ends before the budget is spent.
        trouble: what the database said when it failed.
        kept: how many results the outbox holds.
        inherited: how many trainings were taken over from searches that are gone.
    """

    study: Study
    ledger: Ledger
    outbox: Outbox
    mirror: View
    proposer: Proposer
    limit: TimeLimit
    budget: int
    concurrency: int
    seed: int
    bounds: tuple[int, int]
    watch: Callable[[Snapshot], None]
    over_because: str | None = None
    trouble: str | None = None
    kept: int = 0
    inherited: int = 0
    _running: dict[str, _Run] = field(default_factory=dict)
    _waiting: list[Proposal] = field(default_factory=list)
    _refused: Proposal | None = None
    _next_look: float = 0.0
    _front: list[Evaluation] = field(default_factory=list)
    _changed: bool = True
    _finished: int = 0
    _failed: int = 0
    _finished_before: int = 0
    _failures: Failures = field(default_factory=Failures)
    _versions: dict[str, str] = field(default_factory=versions)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Take up the study where earlier runs left it."""
        known = self.ledger.news()
        if self.ledger.first:
            self.mirror.catch_up(known)
        self._learn(known)
        self._finished_before = self._finished
        if not self.done:
            self._inherit()

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return self._finished >= self.budget

    @property
    def first_trials(self) -> int:
        """How many trials begin together."""
        return min(self.concurrency, self.budget - self._finished)

    def stop(self, reason: str) -> None:
        """Propose nothing more; what runs may finish."""
        self.over_because = self.over_because or reason

    def next(self, trial: str) -> Proposal | Answer:
        """A proposal for a trial of that name."""
        answer = self._next(trial)
        if self._changed:
            self.watch(self.snapshot())
            self._changed = False
        return answer

    def begin(self, trial: str) -> None:
        """Note that a worker has taken up a trial: its time runs from now on."""
        if trial in self._running:
            self._running[trial].began = time.monotonic()

    def overdue(self) -> dict[str, str]:
        """The trials that have taken longer than they may, each with the reason to end it."""
        now = time.monotonic()
        found = {}
        for trial, run in self._running.items():
            most = self.limit.of(run.proposal.cost.macs)
            if run.began is not None and now - run.began > most:
                found[trial] = (
                    f"TimeLimit: no result after {most:.0f} s; --trial-timeout allows more"
                )
        return found

    def finish(self, trial: str, result: dict[str, Any]) -> None:
        """Record what a worker returned: numbers, or an ``error``."""
        if "error" in result:
            run = self._running.pop(trial)
            self._fail(run.proposal, result["error"], result.get("device"))
            self._judge(self._failures.add(result["error"]))
            return
        proposal = self._running.pop(trial).proposal
        evaluation = self._evaluation(
            proposal,
            status=Status.FINISHED,
            val_accuracy=result["val_accuracy"],
            train_loss=result["train_loss"],
            seconds=result["seconds"],
            device=result["device"],
        )
        self._failures.clear()
        self._record(proposal, evaluation, result["weights"])

    def fail(self, trial: str, reason: str) -> None:
        """Record a trial whose worker is gone."""
        run = self._running.pop(trial)
        self._fail(run.proposal, reason)
        self._judge(self._failures.add(reason, run.failures))

    def snapshot(self) -> Snapshot:
        """How the search stands now."""
        new = self._finished - self._finished_before
        seconds = time.monotonic() - self._started
        left = seconds / new * (self.budget - self._finished) if new else None
        return Snapshot(
            finished=self._finished,
            failed=self._failed,
            running=len(self._running),
            budget=self.budget,
            best=self._front[-1].val_accuracy if self._front else None,
            hypervolume=hypervolume(self._front, self.bounds),
            seconds_left=left,
        )

    def _next(self, trial: str) -> Proposal | Answer:
        if self._is_over():
            return Answer.OVER
        busy = len(self._running)
        if busy >= self.concurrency or self._finished + busy >= self.budget:
            return Answer.WAIT
        if time.monotonic() < self._next_look:
            return Answer.WAIT
        try:
            proposal = self._claimed()
        except StoreError as error:
            self._lose_database(error)
            return Answer.OVER
        if proposal is None:
            self._next_look = time.monotonic() + _PAUSE
            return Answer.OVER if self._is_over() else Answer.WAIT
        self._running[trial] = _Run(proposal, self._failures.count)
        self._changed = True
        return proposal

    def _is_over(self) -> bool:
        return self.done or self.over_because is not None

    def _claimed(self) -> Proposal | None:
        """A proposal that nobody else trains; None if there is none now."""
        while not self._waiting:
            # One that came too early is kept: a proposal may take seconds.
            proposal = self._refused or self.proposer.propose()
            self._refused = None
            if proposal is None:
                self._inherit()
                if not self._waiting and not self._running:
                    self.stop("no unseen architecture within the limits could be found")
                break
            verdict = self.ledger.claim(
                proposal.architecture, self._epochs, self.budget - self._finished
            )
            if verdict is Verdict.MINE:
                return proposal
            if verdict is Verdict.TAKEN:
                self.proposer.tell(proposal, None)
                continue
            self._refused = proposal
            if verdict is Verdict.NEWS:
                self._learn(self.ledger.news())
                if not self.done:
                    continue
            else:
                self._inherit()
            break
        return self._waiting.pop(0) if self._waiting else None

    def _inherit(self) -> None:
        """Take over what searches that are gone have left unfinished."""
        for architecture, losses in self.ledger.inherit():
            proposal = self.proposer.resume(architecture)
            if losses < MOST_LOSSES:
                self._waiting.append(proposal)
                self.inherited += 1
            else:
                self._fail(proposal, f"DriverLost: {losses} searches died while they trained it")

    def _learn(self, evaluations: list[Evaluation]) -> None:
        """Take in what is in the database already, or was written by others."""
        self.proposer.learn(evaluations)
        self.limit.learn(evaluations)
        self._count(evaluations)

    def _count(self, evaluations: Iterable[Evaluation]) -> None:
        evaluations = list(evaluations)
        finished = sum(e.status is Status.FINISHED for e in evaluations)
        self._finished += finished
        self._failed += len(evaluations) - finished
        self._front = front([*self._front, *evaluations])
        self._changed = True

    def _fail(self, proposal: Proposal, reason: str, device: str | None = None) -> None:
        failed = self._evaluation(proposal, status=Status.FAILED, error=reason, device=device)
        self._record(proposal, failed)

    def _judge(self, verdict: str | None) -> None:
        if verdict is not None:
            self.stop(verdict)

    def _record(
        self, proposal: Proposal, evaluation: Evaluation, weights: bytes | None = None
    ) -> None:
        """Write an evaluation, or keep it for a database that will be well again."""
        patience = None if self.trouble is None else 0.0
        try:
            written = self.ledger.record(
                evaluation, None if weights is None else lambda: weights, patience
            )
        except StoreError as error:
            self._lose_database(error)
            self._keep(evaluation, weights)
            written = True
        self.proposer.tell(proposal, evaluation.val_accuracy if written else None)
        if written:
            self.limit.learn([evaluation])
            self._count([evaluation])
            self.mirror.add(evaluation)

    def _keep(self, evaluation: Evaluation, weights: bytes | None) -> None:
        try:
            self.outbox.put(evaluation, weights)
        except StoreError as error:
            self.trouble = f"{self.trouble}; {error}"
        else:
            self.kept += 1

    def _lose_database(self, error: StoreError) -> None:
        self.trouble = self.trouble or str(error)
        self.stop("the database failed")

    @property
    def _epochs(self) -> int:
        epochs: int = self.study.recipe["epochs"]
        return epochs

    def _evaluation(self, proposal: Proposal, **outcome: Any) -> Evaluation:  # noqa: ANN401
        return Evaluation(
            study_id=self.study.id,
            key=proposal.architecture.key,
            architecture=proposal.architecture.to_json(),
            space=self.study.space["name"],
            seed=self.seed,
            recipe=self.study.recipe["name"],
            epochs=self._epochs,
            params=proposal.cost.params,
            macs=proposal.cost.macs,
            versions=self._versions,
            created_at=datetime.now(UTC),
            **outcome,
        )
