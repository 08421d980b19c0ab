"""The state of a search, counted from its evaluations."""

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from studies.pareto.front import accuracy_of, front
from studies.pareto.hypervolume import hypervolume
from studies.records.tables import Evaluation, Status
from trainers.metrics import ACCURACY, Metric

_LATEST_EVALUATIONS, _COURSE_HYPERVOLUMES = 4, 24
"""How many evaluations, and how many hypervolumes, a snapshot shows."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a search at one moment.

    Attributes:
        finished: networks trained to the end, earlier runs included.
        partial: trainings up to a lower rung.
        failed: evaluations without an accuracy, earlier runs included.
        retried: trials of this run that failed once and were tried once more.
        running: trials on workers now.
        spent: epochs trained so far, counted in full trainings.
        budget: full trainings whose epochs end the search.
        best: highest validation accuracy of a full training so far.
        hypervolume: of full trainings, see `studies.pareto.hypervolume.hypervolume`.
        seconds_left: an estimate; None before the first evaluation of this run.
        front: of full trainings, by ascending cost.
        latest: last evaluations of this run, in order.
        course: hypervolumes of this run, evenly spaced over its evaluations.
        metric: what is made large.
    """

    finished: int
    partial: int
    failed: int
    running: int
    spent: float
    budget: int
    best: float | None
    hypervolume: float
    seconds_left: float | None
    front: tuple[Evaluation, ...] = ()
    latest: tuple[Evaluation, ...] = ()
    course: tuple[float, ...] = ()
    retried: int = 0
    metric: Metric = ACCURACY


@dataclass(slots=True)
class SearchCounts:
    """The counts of a search, from its evaluations.

    Attributes:
        budget: full trainings whose epochs end the search.
        full: epochs of a full training.
        bounds: costs of the cheapest and the dearest network, for the hypervolume.
        metric: what is made large.
        changed: whether anything was counted since this was last set to False.
    """

    budget: int
    full: int
    bounds: tuple[float, float]
    metric: Metric = ACCURACY
    changed: bool = True
    _front: list[Evaluation] = field(default_factory=list)
    _latest: deque[Evaluation] = field(default_factory=lambda: deque(maxlen=_LATEST_EVALUATIONS))
    _course: list[float] = field(default_factory=list)
    _lowest: float | None = None
    _finished: int = 0
    _partial: int = 0
    _failed: int = 0
    _retried: int = 0
    _spent: int = 0
    _spent_before: int = 0
    _started: float = field(default_factory=time.monotonic)

    @property
    def room(self) -> int:
        """Epochs left of the budget; below 0 if the last trainings took more."""
        return self.budget * self.full - self._spent

    def begin(self) -> None:
        """Start the clock of this run: all counts so far are of earlier runs."""
        self._spent_before, self._started = self._spent, time.monotonic()
        self._latest.clear()
        self._course = [self._hypervolume()]

    def count(self, evaluations: Iterable[Evaluation]) -> None:
        """Count more evaluations. Failed ones take nothing of the budget."""
        evaluations = list(evaluations)
        good = [e for e in evaluations if e.status is Status.FINISHED]
        complete = [e for e in good if e.epochs >= self.full]
        self._failed += len(evaluations) - len(good)
        self._finished += len(complete)
        self._partial += len(good) - len(complete)
        self._spent += sum(e.trained for e in good)
        if complete:
            self._front = front([*self._front, *complete])
            if self._lowest is None:  # one that moves would make the course rise by itself
                self._lowest = min(map(accuracy_of, complete))
        self._latest.extend(evaluations)
        self._course += [self._hypervolume()] * bool(good)
        self.changed = True

    def _hypervolume(self) -> float:
        return hypervolume(self._front, self.bounds, self.metric.floor(self._lowest or 0.0))

    def count_retry(self) -> None:
        """Count a trial that is tried once more."""
        self._retried += 1
        self.changed = True

    def snapshot(self, running: int) -> Snapshot:
        """The state now, with this many trials on workers."""
        new = self._spent - self._spent_before
        seconds = time.monotonic() - self._started
        return Snapshot(
            finished=self._finished,
            partial=self._partial,
            failed=self._failed,
            running=running,
            spent=self._spent / self.full,
            budget=self.budget,
            best=self._front[-1].val_accuracy if self._front else None,
            hypervolume=self._course[-1] if self._course else 0.0,
            seconds_left=seconds / new * max(0, self.room) if new else None,
            front=tuple(self._front),
            latest=tuple(self._latest),
            course=_spread(self._course),
            retried=self._retried,
            metric=self.metric,
        )


def _spread(values: Sequence[float]) -> tuple[float, ...]:
    """Evenly spaced values for a small picture, with the first and the last."""
    if len(values) <= _COURSE_HYPERVOLUMES:
        return tuple(values)
    steps = (len(values) - 1) / (_COURSE_HYPERVOLUMES - 1)
    return tuple(values[round(at * steps)] for at in range(_COURSE_HYPERVOLUMES))


def trials(room: int, epochs: int) -> int:
    """How many trials of this many epochs fill the room."""
    return max(0, math.ceil(room / epochs))
