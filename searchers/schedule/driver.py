"""One search: it proposes, runs and records trials, and decides when it is over."""

import enum
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from searchers.schedule.counts import SearchCounts, Snapshot, trials
from searchers.schedule.failures import TIME_LIMIT, WORKER_DIED, Failures, kind, passes
from searchers.schedule.running import Run, RunningTrials
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import Assignment, TrainingQueue
from searchers.settings import START_SECONDS
from studies import objective
from studies.records.claims import MOST_LOSSES, Claims, TrainingKey, Verdict
from studies.records.costs import columns
from studies.records.database import LostFileError, StoreError
from studies.records.pending_results import PendingResults, as_text
from studies.records.tables import Evaluation, Status, Study
from trainers.machine import versions
from trainers.metrics import Metric

_PAUSE_SECONDS = 0.5
"""Pause before the search looks again whether other searches have left work."""
_LEAST_CHOOSING_SHARE = 0.01
"""The next training is chosen ahead if to choose takes this share of a training (docs/log.md)."""


def _error_in(result: dict[str, Any], metric: Metric) -> str | None:
    """Why the numbers of a worker are none; None if they are."""
    value = result["val_accuracy"]
    if metric.holds(value):
        return None
    return f"InvalidResult: the training ended with a validation {metric.name} of {value}"


def _versions() -> dict[str, str]:
    return versions("convnas", "torch", "numpy", "optuna", "ray")


class Answer(enum.Enum):
    """What `SearchDriver.next` returns when it has nothing to train."""

    WAIT = "wait"
    OVER = "over"


class View(Protocol):
    """Shows a study to others, like `studies.records.optuna_mirror.OptunaMirror`."""

    def catch_up(self, evaluations: Iterable[Evaluation]) -> None:
        """Show the evaluations that are not shown yet."""

    def add(self, evaluation: Evaluation) -> None:
        """Show one more evaluation."""

    def close(self) -> None:
        """Close all connections."""


@dataclass(slots=True)
class SearchDriver:
    """Hands out trainings and records their results, one transaction per evaluation.

    The budget counts epochs, in full trainings; failed trainings take nothing of it. All state that
    matters is in the database: a new driver of the same study continues where the last one ended,
    and several at once share the budget.

    A trial that fails for a reason that may pass (`searchers.schedule.failures.passes`) is tried
    once more. If the search ends before that, its claim waits for the next search.

    If the database fails, nothing more is proposed. Results that still come are kept in files, and
    so is all that was recorded, if the database's file is deleted or replaced.

    Attributes:
        study: as stored.
        claims: on what this search trains.
        pending: keeps results that the database does not take.
        mirror: the same study for Optuna's dashboard.
        queue: new; it learns the study's evaluations here.
        limit: how long trials may take; it learns them too.
        counts: new, with the budget; they learn them too.
        concurrency: trials at a time.
        seed: of every evaluation's weights and data order.
        start_timeout: seconds that a worker may take to start.
        latency_device: that latencies are predicted for; None if they are not.
        watch: called with a `Snapshot` after every change, once the freed worker is busy again.
        over_because: why it ends before the budget is spent.
        trouble: the error of the database, if it failed.
        kept: how many results wait in `pending`.
        others_kept: how many other studies of a lost file have results that wait.
        unkept: results for which no file could be written either, as text.
        inherited: how many trainings were taken over from searches that are gone.
    """

    study: Study
    claims: Claims
    pending: PendingResults
    mirror: View
    queue: TrainingQueue
    limit: TimeLimit
    counts: SearchCounts
    concurrency: int
    seed: int
    watch: Callable[[Snapshot], None]
    start_timeout: float = START_SECONDS
    latency_device: str | None = None
    over_because: str | None = None
    trouble: str | None = None
    kept: int = 0
    others_kept: int = 0
    unkept: list[str] = field(default_factory=list)
    inherited: int = 0
    _running: RunningTrials = field(init=False)
    _waiting: list[Assignment] = field(default_factory=list)
    _tried: set[TrainingKey] = field(default_factory=set)
    _candidate: Assignment | None = None
    _has_prepared: bool = False
    _has_rescued: bool = False
    _choosing: float = 0.0
    _training: float = math.inf
    _next_look: float = 0.0
    _failures: Failures = field(default_factory=Failures)
    _versions: dict[str, str] = field(default_factory=_versions)

    def __post_init__(self) -> None:
        """Continue the study where earlier runs left it."""
        self._running = RunningTrials(self.limit, self.start_timeout)
        known = self.claims.news()
        if self.claims.first:
            self.mirror.catch_up(known)
        self._learn(known)
        self.counts.begin()
        if not self.done:
            self._inherit()

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return self.counts.room <= 0

    @property
    def first_trials(self) -> int:
        """How many trials begin together."""
        return min(self.concurrency, trials(self.counts.room, self.queue.first))

    def stop(self, reason: str) -> None:
        """Propose nothing more; running trials may finish."""
        self.over_because = self.over_because or reason

    def next(self, trial: str) -> Assignment | Answer:
        """What the trial of that name has to train."""
        answer = self._next(trial)
        if self.counts.changed:
            self.watch(self.snapshot())
            self.counts.changed = False
        return answer

    def prepare(self) -> None:
        """Choose the next training while all workers train, so that no worker has to wait for it.

        The choice does not know the results of what runs now. So this is done only if a choice is
        slow compared with a training. A search with one worker never does it: its course must not
        depend on time.
        """
        busy = len(self._running) >= self.concurrency and self._running.all_begun
        free = not (self._has_prepared or self._candidate or self._waiting or self._is_over())
        short = self._choosing > _LEAST_CHOOSING_SHARE * self._training
        if self.concurrency > 1 and busy and free and short and self._room > 0:
            self._has_prepared = True
            self._candidate = self._chosen()

    def checkpoint(self, assignment: Assignment) -> bytes | None:
        """The state that a training continues from; None if there is none, or it is lost."""
        if not assignment.start:
            return None
        try:
            return self.claims.checkpoint(assignment.architecture.key, assignment.start)
        except StoreError as error:
            # The epochs that it saves are worth less than the running trials.
            self._lose_database(error)
            return None

    def check_database(self) -> None:
        """See that the database's file is still there; if it is not, keep what it held."""
        try:
            self.claims.check_file()
        except StoreError as error:
            self._lose_database(error)

    def place(self, trial: str) -> None:
        """Note that a trial has got a worker, which may still have to set up."""
        self._running.place(trial)

    def begin(self, trial: str) -> None:
        """Note that a worker has begun a trial: its time counts from now on."""
        self._running.begin(trial)

    def overdue(self) -> dict[str, str]:
        """The trials that are over their time limit, each with the reason to end it."""
        return self._running.overdue()

    def setting_up(self) -> float:
        """For how many seconds a worker has been setting up; 0 if none does."""
        return self._running.setting_up()

    def stalled(self) -> float:
        """For how many seconds there are trials, but no worker for any of them."""
        return self._running.stalled()

    def finish(self, trial: str, result: dict[str, Any]) -> None:
        """Record what a worker returned: numbers, or an ``error``."""
        reason = result.get("error") or _error_in(result, self.counts.metric)
        if reason is not None:
            run = self._running.pop(trial)
            if not self._try_again(run, reason):
                self._fail(run.assignment, reason, result.get("device"))
            if not run.again:
                self._judge(reason)
            return
        assignment = self._running.pop(trial).assignment
        evaluation = self._evaluation(
            assignment,
            status=Status.FINISHED,
            start=result["start"],
            val_accuracy=result["val_accuracy"],
            answers=result.get("answers"),
            train_loss=result["train_loss"],
            seconds=result["seconds"],
            device=result["device"],
            versions=self._versions,
        )
        self._failures.clear()
        self._training = result["seconds"]
        self._record(assignment, evaluation, result.get("weights"), result.get("checkpoint"))

    def fail(self, trial: str, reason: str) -> None:
        """Record a trial whose worker is gone."""
        run = self._running.pop(trial)
        if run.began is None:
            self._fail_to_start(run, reason)
            return
        if not self._try_again(run, reason):
            self._fail(run.assignment, reason)
        if not run.again:  # an architecture that fails twice is one failure
            lost = kind(reason) in {WORKER_DIED, TIME_LIMIT}
            self._judge(reason, run.failures if lost else None)

    def snapshot(self) -> Snapshot:
        """The state of the search now."""
        return self.counts.snapshot(len(self._running))

    def _next(self, trial: str) -> Assignment | Answer:
        if self._is_over():
            return Answer.OVER
        if len(self._running) >= self.concurrency or self._room <= 0:
            return Answer.WAIT
        if time.monotonic() < self._next_look:
            return Answer.WAIT
        try:
            assignment = self._claimed()
        except StoreError as error:
            self._lose_database(error)
            return Answer.OVER
        if assignment is None:
            self._next_look = time.monotonic() + _PAUSE_SECONDS
            return Answer.OVER if self._is_over() else Answer.WAIT
        again = _work(assignment) in self._tried
        if again:
            self.counts.count_retry()
        self._running.add(trial, Run(assignment, self._failures.count, again))
        self._has_prepared = False
        self.counts.changed = True
        return assignment

    @property
    def _room(self) -> int:
        """Epochs left of the budget, without those that this search trains now."""
        return self.counts.room - self._running.work

    def _is_over(self) -> bool:
        return self.done or self.over_because is not None

    def _claimed(self) -> Assignment | None:
        """A training that no other search does; None if there is none at the moment."""
        while not self._waiting:
            # A candidate that could not be claimed yet is kept: a new one may take seconds.
            candidate = self._candidate or self._chosen()
            self._candidate = None
            if candidate is None:
                self._inherit()
                if not self._waiting and not self._running:
                    self.stop("no unseen architecture within the limits could be found")
                break
            verdict = self.claims.claim(
                candidate.architecture, candidate.epochs, self.counts.room, candidate.start
            )
            if verdict is Verdict.MINE:
                return candidate
            if verdict is Verdict.TAKEN:
                self.queue.tell(candidate, None)
                continue
            self._candidate = candidate
            if verdict is Verdict.NEWS:
                self._learn(self.claims.news())
                if not self.done:
                    continue
            else:
                self._inherit()
            break
        return self._waiting.pop(0) if self._waiting else None

    def _chosen(self) -> Assignment | None:
        begin = time.monotonic()
        candidate = self.queue.next(self._room)
        self._choosing = time.monotonic() - begin
        return candidate

    def _inherit(self) -> None:
        """Take over the unfinished trainings of searches that are gone."""
        for left in self.claims.inherit():
            assignment = self.queue.resume(left.architecture, left.epochs, left.start)
            if left.losses < MOST_LOSSES:
                self._waiting.append(assignment)
                self.inherited += 1
            else:
                reason = f"DriverLost: {left.losses} searches died while they trained it"
                self._fail(assignment, reason)

    def _learn(self, evaluations: list[Evaluation]) -> None:
        """Learn evaluations that earlier runs or other searches have written."""
        self.queue.learn(evaluations)
        self.limit.learn(evaluations)
        self.counts.count(evaluations)

    def _fail_to_start(self, run: Run, reason: str) -> None:
        """Record a trial whose worker failed while it set up.

        This says nothing about the architecture. Once such failures have ended the search, those
        of the other workers are no rows: the claims on their trials wait for the next search.
        """
        if self.over_because is not None:
            return
        if not self._try_again(run, reason):
            self._fail(run.assignment, reason)
        self._judge(reason)

    def _try_again(self, run: Run, reason: str) -> bool:
        """Put a trial back if it failed for the first time and the reason may pass; whether."""
        if run.again or self.done or not passes(reason):
            return False
        self._tried.add(_work(run.assignment))
        self._waiting.append(run.assignment)
        return True

    def _judge(self, reason: str, known: int | None = None) -> None:
        """Count a failure, and end the search if it is one too many; see `Failures.add`."""
        verdict = self._failures.add(reason, known)
        if verdict is not None:
            self.stop(verdict)

    def _fail(self, assignment: Assignment, reason: str, device: str | None = None) -> None:
        failed = self._evaluation(
            assignment, status=Status.FAILED, start=0, error=reason, device=device
        )
        self._record(assignment, failed)

    def _record(
        self,
        assignment: Assignment,
        evaluation: Evaluation,
        weights: bytes | None = None,
        checkpoint: bytes | None = None,
    ) -> None:
        """Write an evaluation; if the database fails, keep it in a file."""
        patience = None if self.trouble is None else 0.0
        try:
            written = self.claims.record(
                evaluation, None if weights is None else lambda: weights, patience, checkpoint
            )
        except StoreError as error:
            self._lose_database(error)
            self._keep(evaluation, weights)
            written = True
        else:
            if written:
                self.mirror.add(evaluation)
        self.queue.tell(assignment, evaluation.val_accuracy if written else None)
        if written:
            self.limit.learn([evaluation])
            self.counts.count([evaluation])

    def _keep(self, evaluation: Evaluation, weights: bytes | None) -> None:
        try:
            self.pending.put(evaluation, weights)
        except StoreError as error:
            self._lose([as_text(evaluation)], str(error))
        else:
            self.kept += 1

    def _lose_database(self, error: StoreError) -> None:
        self.trouble = self.trouble or str(error)
        self.stop("the database failed")
        if isinstance(error, LostFileError) and not self._has_rescued:
            self._has_rescued = True
            self._rescue()

    def _rescue(self) -> None:
        """Keep all that the lost file of the database holds."""
        try:
            found = self.claims.rescue()
        except StoreError as error:
            self.trouble = f"{self.trouble}; {error}"
            return
        self.kept += found.kept.pop(self.study.name, 0)
        self.others_kept = len(found.kept)
        if found.unkept:
            self._lose(found.unkept, found.reason)

    def _lose(self, results: Sequence[str], reason: str) -> None:
        """Note results that nothing could keep: the user gets them as text."""
        if not self.unkept:
            self.trouble = f"{self.trouble}; {reason}"
        self.unkept.extend(results)

    def _evaluation(self, assignment: Assignment, **outcome: Any) -> Evaluation:  # noqa: ANN401
        return Evaluation(
            study_id=self.study.id,
            key=assignment.architecture.key,
            architecture=assignment.architecture.to_json(),
            space=self.study.space["name"],
            seed=self.seed,
            recipe=self.study.recipe["name"],
            epochs=assignment.epochs,
            **columns(assignment.cost, objective.of(self.study), self.latency_device),
            **({"versions": self._versions, "created_at": datetime.now(UTC)} | outcome),
        )


def _work(assignment: Assignment) -> TrainingKey:
    return assignment.architecture.key, assignment.epochs
