"""The books of one search: what is proposed, running, recorded, and when it is over."""

import enum
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from searchers.proposals import Proposal, Proposer
from studies.front import front, hypervolume
from studies.records import Evaluation, Status, Study
from studies.store import Store

_SAME_FAILURES = 5
"""So many failures in a row of one kind end the search: the next would fail as well."""
_FAILURES = 20
"""So many in a row of any kind do, too."""


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
class Campaign:
    """Hands out proposals and records what comes back, one transaction an evaluation.

    The budget counts finished evaluations; failed ones are rows beside it. All state that matters
    is in the database: a new campaign on the same study goes on where the last one ended.

    Attributes:
        study: as stored.
        store: where evaluations go.
        mirror: the same study for Optuna's dashboard.
        proposer: fresh; it is taught the study's evaluations here.
        evaluations: those that the study has already.
        budget: finished evaluations to reach.
        concurrency: trials at a time.
        seed: of every evaluation's weights and data order.
        bounds: MACs of the smallest and largest network, the box of the hypervolume.
        watch: called with a `Snapshot` after every change, once the freed worker is busy again.
    """

    study: Study
    store: Store
    mirror: View
    proposer: Proposer
    evaluations: Sequence[Evaluation]
    budget: int
    concurrency: int
    seed: int
    bounds: tuple[int, int]
    watch: Callable[[Snapshot], None]
    over_because: str | None = None
    _running: dict[str, Proposal] = field(default_factory=dict)
    _front: list[Evaluation] = field(default_factory=list)
    _changed: bool = True
    _exhausted: bool = False
    _finished: int = 0
    _failed: int = 0
    _finished_before: int = 0
    _reasons: list[str] = field(default_factory=list)
    _versions: dict[str, str] = field(default_factory=versions)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Take up the study where earlier runs left it."""
        self.mirror.catch_up(self.evaluations)
        self.proposer.learn(self.evaluations)
        self._front = front(self.evaluations)
        self._finished = sum(e.status is Status.FINISHED for e in self.evaluations)
        self._failed = len(self.evaluations) - self._finished
        self._finished_before = self._finished

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

    def _next(self, trial: str) -> Proposal | Answer:
        if self.done or self.over_because is not None:
            return Answer.OVER
        busy = len(self._running)
        if busy >= self.concurrency or self._finished + busy >= self.budget:
            return Answer.WAIT
        proposal = None if self._exhausted else self.proposer.propose()
        if proposal is None:
            # What runs now may fail, but it will not be proposed again: no need to look twice.
            self._exhausted = True
            if busy:
                return Answer.WAIT
            self.stop("no unseen architecture within the limits could be found")
            return Answer.OVER
        self._running[trial] = proposal
        self._changed = True
        return proposal

    def finish(self, trial: str, result: dict[str, Any]) -> None:
        """Record what a worker returned: numbers, or an ``error``."""
        if "error" in result:
            self.fail(trial, result["error"], result.get("device"))
            return
        proposal = self._running.pop(trial)
        weights: bytes = result["weights"]
        evaluation = self._evaluation(
            proposal,
            status=Status.FINISHED,
            val_accuracy=result["val_accuracy"],
            train_loss=result["train_loss"],
            seconds=result["seconds"],
            device=result["device"],
        )
        self.store.record(evaluation, lambda: weights)
        self._finished += 1
        self._reasons.clear()
        self._front = front([*self._front, evaluation])
        self._report(proposal, evaluation)

    def fail(self, trial: str, reason: str, device: str | None = None) -> None:
        """Record a trial that gave no numbers."""
        proposal = self._running.pop(trial)
        evaluation = self._evaluation(proposal, status=Status.FAILED, error=reason, device=device)
        self.store.record(evaluation)
        self._failed += 1
        self._reasons.append(reason)
        # The texts differ in numbers ("tried to allocate 31 MiB"): the kind of error counts.
        recent = {text.partition(":")[0] for text in self._reasons[-_SAME_FAILURES:]}
        if len(self._reasons) >= _SAME_FAILURES and len(recent) == 1:
            self.stop(f"{_SAME_FAILURES} trials in a row failed alike, the last with: {reason}")
        elif len(self._reasons) >= _FAILURES:
            self.stop(f"{_FAILURES} trials in a row failed, the last with: {reason}")
        self._report(proposal, evaluation)

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

    def _report(self, proposal: Proposal, evaluation: Evaluation) -> None:
        self.mirror.add(evaluation)
        self.proposer.tell(proposal, evaluation.val_accuracy)
        self._changed = True

    def _evaluation(self, proposal: Proposal, **outcome: Any) -> Evaluation:  # noqa: ANN401
        return Evaluation(
            study_id=self.study.id,
            key=proposal.architecture.key,
            architecture=proposal.architecture.to_json(),
            space=self.study.space["name"],
            seed=self.seed,
            recipe=self.study.recipe["name"],
            epochs=self.study.recipe["epochs"],
            params=proposal.cost.params,
            macs=proposal.cost.macs,
            versions=self._versions,
            **outcome,
        )
