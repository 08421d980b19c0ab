"""Runs in Ray's worker processes: a trainable that stays warm and evaluates one network a trial."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Trainable

from trainers.data.splits import SearchData
from trainers.recipes import Recipe

_LATEST_SECONDS = 20.0
_LOOK_SECONDS = 0.02
_BEGUN, _DONE = ".begun", ".done"
SET_UP = "set_up"
"""In the first result of a worker, which says that it begins its trial only now."""

Evaluate = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Maps a trial's configuration to its result: numbers, or an ``error``."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A checkpoint on its way to a worker, as a value of a trial's configuration.

    Ray Tune puts the values of a configuration into names: the bytes must not appear there.
    """

    data: bytes | None = field(repr=False)


class Job(Protocol):
    """The work of all trials; sent to each worker once."""

    def start(self) -> Evaluate:
        """Set up what trials share, in the worker's process."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A job that trains the trial's architecture.

    Attributes:
        data: the train and validation splits.
        recipe: how to train.
        threads: CPU threads of a worker.
    """

    data: SearchData
    recipe: Recipe
    threads: int

    def start(self) -> Evaluate:
        """Put the data on the device."""
        # The driver makes this value and must not import torch.
        from searchers.ray.evaluator import Evaluator  # noqa: PLC0415

        return Evaluator(self.data, self.recipe, self.threads)


@dataclass(frozen=True, slots=True)
class StartingLine:
    """No worker of a machine finishes a trial before all of them have begun one.

    When a worker finishes while others still start, Ray Tune gives it the trial of one of these and
    drops that one. If trials are shorter than a start, one worker would do all of them.

    Attributes:
        folder: empty at first.
        workers: how many will begin.
    """

    folder: Path
    workers: int

    def come(self, name: str) -> None:
        """Say that the worker of that name has begun."""
        (self.folder / f"{name}{_BEGUN}").touch()

    def wait(self, trial: str) -> None:
        """Return once all have begun, or one of them seems lost.

        Args:
            trial: whose work is done, and whose result waits.
        """
        (self.folder / f"{trial}{_DONE}").touch()
        late = time.monotonic() + _LATEST_SECONDS
        while self._begun() < self.workers and time.monotonic() < late:
            time.sleep(_LOOK_SECONDS)

    def keeps(self, trial: str) -> bool:
        """Whether the result of a trial waits, or waited, for other workers."""
        return (self.folder / f"{trial}{_DONE}").exists()

    def _begun(self) -> int:
        return len(list(self.folder.glob(f"*{_BEGUN}")))


class Worker(Trainable):
    """Evaluates the configuration of its trial; the process and the data stay for the next."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], *, job: Job, line: StartingLine | None
    ) -> None:
        """Keep the job that all trials share; `step` starts it."""
        self.config = config
        self._line = line
        self._job = job
        self._evaluate: Evaluate | None = None
        if line is not None:
            line.come(self.trial_id)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; True tells Ray Tune to keep this process."""
        self.config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Do the whole trial; in a new process, first start the job, and say so.

        In `setup` a job that does not start could not be ended: until that returns, Ray Tune tells
        nobody which process it is.
        """
        if self._evaluate is None:
            self._evaluate = self._job.start()
            return {SET_UP: True}
        result = self._evaluate(self.config)
        if self._line is not None:
            self._line.wait(self.trial_id)
            self._line = None
        return result | {"done": True}

    def is_free(self) -> bool:
        """Answer as soon as this process has nothing else to do."""
        return True
