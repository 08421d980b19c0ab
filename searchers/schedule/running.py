"""The trials that were handed out, and which of them take too long."""

from dataclasses import dataclass, field

from searchers.schedule.seen_time import SeenTime
from searchers.schedule.time_limits import TimeLimit
from searchers.schedule.training_queue import Assignment


@dataclass(slots=True)
class Run:
    """A trial that was handed out.

    Attributes:
        assignment: what it trains.
        failures: in a row, at the time when it was handed out.
        again: whether this is its second attempt.
        placed: when it got a worker, which may still have to set up.
        began: when its worker began it.
    """

    assignment: Assignment
    failures: int
    again: bool
    placed: float | None = None
    began: float | None = None


@dataclass(slots=True)
class RunningTrials:
    """The trials that were handed out and have not ended, by name.

    Attributes:
        limit: how long trials may take.
        start: seconds that a worker may take to start.
    """

    limit: TimeLimit
    start: float
    _runs: dict[str, Run] = field(default_factory=dict)
    _time: SeenTime = field(default_factory=SeenTime)
    _placed_last: float = 0.0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._runs)

    @property
    def work(self) -> int:
        """Epochs that they train."""
        return sum(run.assignment.work for run in self._runs.values())

    @property
    def all_begun(self) -> bool:
        """Whether workers train all of them."""
        return all(run.began is not None for run in self._runs.values())

    def add(self, trial: str, run: Run) -> None:
        """Note that a trial is handed out."""
        self._look()
        self._runs[trial] = run

    def pop(self, trial: str) -> Run:
        """Note that a trial has ended."""
        return self._runs.pop(trial)

    def place(self, trial: str) -> None:
        """Note that a trial has got a worker."""
        if trial in self._runs:
            self._runs[trial].placed = self._time.seconds

    def begin(self, trial: str) -> None:
        """Note that a worker has begun a trial: its time counts from now on."""
        if trial in self._runs:
            self._runs[trial].began = self._time.seconds

    def overdue(self) -> dict[str, str]:
        """The trials that are over their time limit, each with the reason to end it."""
        self._look()
        found = {}
        for trial, run in self._runs.items():
            most = self.limit.of(run.assignment.cost.macs, run.assignment.epochs)
            if run.began is not None:
                if self._time.seconds - run.began > most:
                    found[trial] = (
                        f"TimeLimit: no result after {most:.0f} s; --trial-timeout allows more"
                    )
            elif run.placed is not None and self._time.seconds - run.placed > self.start:
                found[trial] = (
                    f"TimeLimit: the worker does not start, not in {self.start:.0f} s; "
                    "--start-timeout allows more"
                )
        return found

    def setting_up(self) -> float:
        """For how many seconds a worker has been setting up; 0 if none does."""
        self._look()
        return max(
            (
                self._time.seconds - run.placed
                for run in self._runs.values()
                if run.placed is not None and run.began is None
            ),
            default=0.0,
        )

    def stalled(self) -> float:
        """For how many seconds there are trials, but no worker for any of them."""
        self._look()
        return self._time.seconds - self._placed_last

    def _look(self) -> None:
        self._time.look()
        if not self._runs or any(
            run.placed is not None or run.began is not None for run in self._runs.values()
        ):
            self._placed_last = self._time.seconds
