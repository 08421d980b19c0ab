"""Ray Tune, reduced to what it is good at: placing trials on warm workers and watching them.

Ray's own `OptunaSearch` reports early-stopped and NaN trials wrongly and takes seconds per trial
(docs/decisions/0001), so the `SearchDriver` proposes and records.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from nas_space.scratch import scratch
from searchers.ray.memory import MemoryWatch
from searchers.ray.reasons import reason_in
from searchers.ray.resources import Resources
from searchers.ray.waiting import Starts
from searchers.ray.worker import SET_UP, Carried, Job, StartingLine, Worker
from searchers.schedule.driver import Answer, SearchDriver
from searchers.schedule.training_queue import Assignment

_ANSWER_SECONDS = 2.0
"""How long to wait for the answer of workers that seem to hang."""
_CHECKPOINT = "checkpoint"
INTERRUPT = "interrupted"
"""Reason of a search that the user stopped."""


def run_trials(
    driver: SearchDriver,
    job: Job,
    resources: Resources,
    say: Callable[[str], None],
    *,
    verbose: bool,
) -> None:
    """Run trials until the search is over.

    After the first Ctrl-C running trials finish; the second ends all at once (KeyboardInterrupt).

    Args:
        driver: of the search.
        job: what trials do.
        resources: of a trial.
        say: gets a line when no worker starts.
        verbose: whether Ray Tune may speak.

    Raises:
        ClusterError: no worker started.
        StoreError: the database failed.
        KeyboardInterrupt: the second Ctrl-C, or SIGTERM.
    """
    # By default Ray Tune starts the workers one after another, seconds apart.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.concurrency)
    _let_trials_use_the_processes_there_are()
    guard = _Guard(driver)
    logging.getLogger("ray.tune").setLevel(logging.INFO if verbose else logging.CRITICAL)
    # What Ray Tune writes is deleted at the end: the database is the record.
    with scratch("convnas-") as place, _graceful_stop(driver):
        line = StartingLine(place / "line", driver.first_trials)
        line.folder.mkdir()
        here = line if resources.here else None
        starts = Starts(resources, driver.start_timeout, say)
        shared = tune.with_parameters(Worker, job=job, line=here)
        trainable = tune.with_resources(shared, {"cpu": resources.cpus, "gpu": resources.gpus})
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=_Proposals(guard), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=str(place),
                callbacks=[_Records(guard, starts, here)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                progress_reporter=_NoReport(),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except Exception:
            if guard.error is not None:
                raise guard.error from None
            raise


class _NoReport(tune.ProgressReporter):
    """Prints nothing: in a notebook Tune would clear our output and draw its own tables."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:  # noqa: ARG002
        return False

    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        """Say nothing."""


def _let_trials_use_the_processes_there_are() -> None:
    """Give trials the environment that Ray's idle processes have.

    Ray Tune sets a variable for PyTorch Lightning in every trial's environment. Then no idle
    process fits, and each trial starts a new one, which imports torch and Ray Tune again. With
    another version of Ray this may do nothing.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from ray.tune.execution import class_cache  # noqa: PLC0415

        class_cache.DEFAULT_ENV_VARS.clear()


class _Guard:
    """The search driver for Ray's hooks, with the first error that it raised.

    Ray turns an error into text inside an error of its own. It also pickles its hooks, to resume
    from them; we resume from the database.
    """

    def __init__(self, driver: SearchDriver) -> None:
        self.driver = driver
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    @contextlib.contextmanager
    def open(self) -> Iterator[SearchDriver]:
        try:
            yield self.driver
        except Exception as error:
            self.error = self.error or error
            raise


class _Proposals(Searcher):
    """Gives configurations to Ray Tune."""

    def __init__(self, guard: _Guard) -> None:
        super().__init__()
        self._guard = guard

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A configuration; None to be asked again later, or Ray's FINISHED."""
        with self._guard.open() as driver:
            answer = driver.next(trial_id)
            if isinstance(answer, Assignment):
                return {
                    "architecture": answer.architecture.text,
                    "seed": driver.seed,
                    "epochs": answer.epochs,
                    "start": answer.start,
                    _CHECKPOINT: Carried(driver.checkpoint(answer)),
                }
        # Ray's contract is a dict, None, or this string.
        return cast("None", Searcher.FINISHED) if answer is Answer.OVER else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: `_Records` has recorded the result already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the database is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the database is the state."""


class _Records(tune.Callback):
    """Takes results and failures from Ray Tune."""

    def __init__(self, guard: _Guard, starts: Starts, line: StartingLine | None) -> None:
        self._guard = guard
        self._starts = starts
        self._line = line
        self._killed: dict[str, str] = {}
        self._set_up = set[object]()
        self._memory = MemoryWatch()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_begin(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],
        **_: object,
    ) -> None:
        """Kill the workers of trials that take too long: Ray then reports them as dead.

        Also look after the database, which nothing else may use for hours, and prepare the next
        training while all workers are busy.
        """
        with self._guard.open() as driver:
            driver.check_database()
            self._starts.watch(driver.setting_up(), driver.stalled())
            overdue = driver.overdue()
            driver.prepare()
        # Most steps have none: this looks at all trials there ever were.
        if overdue.keys() - self._killed.keys():
            self._kill(trials, overdue)

    def _kill(self, trials: list[Trial], overdue: dict[str, str]) -> None:
        """Kill the workers of these trials, but for those whose work is done."""
        asked: dict[Any, tuple[str, Any]] = {}
        for trial in trials:
            name, worker = trial.trial_id, trial.temporary_state.ray_actor
            done = name in self._killed or (self._line is not None and self._line.keeps(name))
            if worker is not None and name in overdue and not done:
                asked[worker.is_free.remote()] = name, worker
        if not asked:
            return
        # A worker does one thing after the other: one that answers has handed in its result, which
        # the driver has not read yet. One that is dead answers too, with an error.
        answers = [*asked]
        _, missing = ray.wait(answers, num_returns=len(answers), timeout=_ANSWER_SECONDS)
        for answer in missing:
            name, worker = asked[answer]
            self._killed[name] = overdue[name]
            ray.kill(worker)

    def on_trial_start(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Note when a worker takes up a trial; a new one has to set up first."""
        with self._guard.open() as driver:
            driver.place(trial.trial_id)
            if trial.temporary_state.ray_actor in self._set_up:
                driver.begin(trial.trial_id)

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],
        **_: object,
    ) -> None:
        """Record a result, and keep weights and checkpoints out of Ray's own state."""
        with self._guard.open() as driver:
            if SET_UP in result:
                self._set_up.add(trial.temporary_state.ray_actor)
                driver.begin(trial.trial_id)
                return
            driver.finish(trial.trial_id, result)
        for state in ("weights", _CHECKPOINT):
            result.pop(state, None)
        _unload(trial)

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002 - Ray's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: object,
    ) -> None:
        """Record a trial whose worker died."""
        with self._guard.open() as driver:
            reason = self._killed.get(trial.trial_id) or self._memory.explained(_reason(trial))
            driver.fail(trial.trial_id, reason)
        _unload(trial)


def _unload(trial: Trial) -> None:
    """Drop the checkpoint that a trial continued from: Ray Tune keeps all configurations."""
    for configuration in (trial.config, trial.evaluated_params):
        configuration.pop(_CHECKPOINT, None)


def _reason(trial: Trial) -> str:
    """Why Ray gave up a trial, as one line."""
    # Ray's own accessors look in its storage, where the file is only later. The first line of the
    # file is a headline with the time.
    path = trial.error_file
    text = Path(path).read_text(encoding="utf-8") if path and Path(path).is_file() else ""
    return reason_in(text.partition("\n")[2])


@contextlib.contextmanager
def _graceful_stop(driver: SearchDriver) -> Iterator[None]:
    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if driver.over_because is not None:
            raise KeyboardInterrupt
        driver.stop(INTERRUPT)
        print(  # noqa: T201 - the answer to Ctrl-C
            "\nstopping once the running trials have finished; Ctrl-C again to stop now",
            file=sys.stderr,
        )

    def on_terminate(_signal: int, _frame: FrameType | None) -> None:
        driver.stop("terminated")
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles no signals there: a notebook's stop button does nothing
        return
    old = {
        signal.SIGINT: signal.signal(signal.SIGINT, on_interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_terminate),
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
