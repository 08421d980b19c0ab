"""The claims of one search on a study, so that several searches share the work and lose none.

A search claims an architecture before it trains it. One transaction writes the evaluation and
deletes the claim. If the search dies first, the claim stays, and the next search, or another that
is running, trains that architecture again. If two searches died while they trained an architecture,
it is recorded as failed: a third would die too.

All this relies on locks and counts in the database, not on clocks: machines disagree on the time.
"""

import contextlib
import enum
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from nas_space.spaces.architecture import Architecture
from studies.records.database import StoreError
from studies.records.processes import Process
from studies.records.rescue import Rescued, rescue
from studies.records.store import Store, lock
from studies.records.tables import Claim, Driver, Evaluation, Study

BEAT_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A driver on another machine that is silent for longer counts as dead."""
MOST_LOSSES = 2
"""Drivers that may die while they train an architecture."""


TrainingKey = tuple[str, int]
"""The key of an architecture, and epochs: such a training is done only once."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """A training that a driver has left behind.

    Attributes:
        architecture: what is trained.
        epochs: of the training.
        start: epochs of these that are in a checkpoint.
        losses: how many drivers died while they trained it.
    """

    architecture: Architecture
    epochs: int
    start: int
    losses: int


class Verdict(enum.Enum):
    """The answer to a search that asks for a claim."""

    MINE = "mine"
    TAKEN = "taken"
    """Another search has trained it, or trains it now."""
    FULL = "full"
    """The trainings that run now will use up the budget."""
    NEWS = "news"
    """Other searches have written evaluations that this search does not know."""


class Claims:
    """A search's claims on a study, its heartbeat, and its view of the other searches.

    Args:
        store: the database.
        study: as stored.
        patience: seconds to wait for a database that is away or full, see `Database.write`.

    Raises:
        StoreError: the database failed.
    """

    def __init__(self, store: Store, study: Study, patience: float = 0.0) -> None:
        self._store = store
        self._study = study
        self._patience = patience
        self._process = Process.own()
        self._last = 0
        self._known: set[int] = set()
        self._held: set[TrainingKey] = set()
        self._watch = Watch()
        self._id = store.database.write(self._sign_in, patience)
        self._look()
        # The first running search also cleans up after searches that were killed before it came.
        self._settled = self._dead(self._unended()) if self.first else frozenset()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sign out. Claims that remain wait for the next search."""
        self._over.set()
        # It may wait for a database that does not answer.
        self._heart.join(BEAT_SECONDS)
        ended = update(Driver).where(Driver.id == self._id).values(ended=True)
        # If the database is away, others will find this process gone.
        with contextlib.suppress(StoreError):
            self._store.database.write(lambda session: session.execute(ended))

    def news(self) -> list[Evaluation]:
        """The evaluations that this search has not seen yet; the first time, all."""
        found = self._store.evaluations(self._study, self._last, self._patience)
        new = [evaluation for evaluation in found if evaluation.id not in self._known]
        self._know([evaluation.id for evaluation in found])
        return new

    def claim(self, architecture: Architecture, epochs: int, room: int, start: int = 0) -> Verdict:
        """Ask to train an architecture.

        The last claim may take more epochs than are left: a smaller rest could not be used.

        Args:
            architecture: to be trained.
            epochs: of the training.
            room: epochs left of the budget, as far as this search knows.
            start: epochs of these that are in a checkpoint.
        """

        def work(session: Session) -> tuple[Verdict, Sequence[int]]:
            lock(session, self._study.id)
            ids = session.scalars(
                select(Evaluation.id).where(
                    Evaluation.study_id == self._study.id, Evaluation.id > self._last
                )
            ).all()
            if not self._known.issuperset(ids):
                return Verdict.NEWS, ()
            wanted = Claim(
                study_id=self._study.id,
                key=architecture.key,
                epochs=epochs,
                start=start,
                architecture=architecture.to_json(),
                driver_id=self._id,
            )
            return self._settle(session, wanted, room), ids

        verdict, ids = self._store.database.write(work, self._patience)
        self._know(ids)
        if verdict is Verdict.MINE:
            self._held.add((architecture.key, epochs))
        return verdict

    def inherit(self) -> list[Inheritance]:
        """Take over the trainings of drivers that are dead or have ended.

        Raises:
            StoreError: the database failed.
        """

        def work(session: Session) -> dict[TrainingKey, Inheritance]:
            lock(session, self._study.id)
            found = {}
            for claim, driver in session.execute(self._claims()):
                # An earlier attempt may have taken it over already.
                left = driver.id != self._id and (driver.ended or self._watch.dead(driver))
                if left:
                    claim.driver_id = self._id
                    claim.losses += not driver.ended
                if left or (driver.id == self._id and _work(claim) not in self._held):
                    architecture = claim.parsed_architecture
                    found[_work(claim)] = Inheritance(
                        architecture, claim.epochs, claim.start, claim.losses
                    )
            return found

        found = self._store.database.write(work, self._patience)
        self._held.update(found)
        return list(found.values())

    def record(
        self,
        evaluation: Evaluation,
        weights: Callable[[], bytes] | None = None,
        patience: float | None = None,
        checkpoint: bytes | None = None,
    ) -> bool:
        """Write an evaluation and delete its claim, see `Store.record`.

        Args:
            evaluation: of this search.
            weights: see `Store.record`.
            patience: instead of the one given to `Claims`.
            checkpoint: see `Store.record`.
        """
        wait = self._patience if patience is None else patience
        written = self._store.record(evaluation, weights, wait, checkpoint)
        self._held.discard((evaluation.key, evaluation.epochs))
        if written:
            self._known.add(evaluation.id)
        return written

    def checkpoint(self, key: str, epochs: int) -> bytes | None:
        """See `Store.checkpoint`."""
        return self._store.checkpoint(self._study, key, epochs, self._patience)

    def check_file(self) -> None:
        """See `Database.check_file`."""
        self._store.database.check_file()

    def rescue(self) -> Rescued:
        """See `studies.records.rescue`."""
        return rescue(self._store.database)

    def others(self) -> list[Driver]:
        """The other searches that work on this study now, the first to come first.

        Raises:
            StoreError: the database cannot be read.
        """
        return [driver for driver in self._unended() if not self._watch.dead(driver)]

    @property
    def first(self) -> bool:
        """Whether all searches that came before this one have ended."""
        return all(driver.id > self._id for driver in self.others())

    def orphaned(self) -> list[Evaluation]:
        """All evaluations, if Optuna's view may lack some and this search has to add them.

        A search that was killed did not finish Optuna's view. The last search to leave does that;
        those that left before it have written all of theirs. For searches that were killed before
        any of these came, the first one adds everything when it begins.

        Raises:
            StoreError: the database cannot be read.
        """
        unended = self._unended()
        dead = self._dead(unended)
        if len(dead) < len(unended) or dead <= self._settled:
            return []
        return self._store.evaluations(self._study)

    def _sign_in(self, session: Session) -> int:
        driver = Driver(
            study_id=self._study.id,
            machine=self._process.machine,
            process=self._process.number,
            began=self._process.began,
        )
        session.add(driver)
        session.flush()
        return driver.id

    def _settle(self, session: Session, wanted: Claim, room: int) -> Verdict:
        """Claim an architecture if nothing is against it."""
        claims = session.scalars(select(Claim).where(Claim.study_id == self._study.id)).all()
        for claim in claims:
            if _work(claim) == _work(wanted):
                # An earlier attempt may have been committed although its answer was lost.
                return Verdict.MINE if claim.driver_id == self._id else Verdict.TAKEN
        done = select(func.count()).where(
            Evaluation.study_id == self._study.id,
            Evaluation.key == wanted.key,
            Evaluation.epochs == wanted.epochs,
        )
        if session.scalar(done):
            return Verdict.TAKEN
        if sum(claim.epochs - claim.start for claim in claims) >= room:
            return Verdict.FULL
        session.add(wanted)
        return Verdict.MINE

    def _know(self, ids: Sequence[int]) -> None:
        """Take note of all ids above the last; they grow in the order of commits."""
        self._last = max(self._last, *ids) if ids else self._last
        self._known = {known for known in self._known if known > self._last}

    def _claims(self) -> Select[Claim, Driver]:
        return (
            select(Claim, Driver)
            .join(Driver, Driver.id == Claim.driver_id)
            .where(Claim.study_id == self._study.id)
            .order_by(Claim.id)
        )

    def _unended(self) -> list[Driver]:
        """The other drivers that did not sign out, dead or alive."""
        return [driver for driver in unended(self._store, self._study) if driver.id != self._id]

    def _dead(self, drivers: Sequence[Driver]) -> frozenset[int]:
        return frozenset(driver.id for driver in drivers if self._watch.dead(driver))

    def _beat(self) -> None:
        beat = update(Driver).where(Driver.id == self._id).values(beats=Driver.beats + 1)
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._store.database.write(lambda session: session.execute(beat))
                self._look()
            except StoreError:
                # Whoever needs the database reports the error; this thread only tries again.
                continue

    def _look(self) -> None:
        self._watch.look(self._unended())


def unended(store: Store, study: Study) -> list[Driver]:
    """The drivers of a study that did not sign out, the first to come first."""
    query = (
        select(Driver)
        .where(Driver.study_id == study.id, Driver.ended.is_(False))
        .order_by(Driver.id)
    )
    return store.database.read(lambda session: list(session.scalars(query)))


def at_work(store: Store, study: Study) -> bool:
    """Whether a search may be running on a study; one on another machine counts as running."""
    watch = Watch()
    return not all(map(watch.dead, unended(store, study)))


class Watch:
    """Finds dead drivers, by their processes or by their silence.

    Only silence that was observed counts: after minutes without the database all seem silent.
    """

    def __init__(self) -> None:
        self._heard: dict[int, tuple[int, float]] = {}
        self._listened = time.monotonic()

    def look(self, drivers: Sequence[Driver]) -> None:
        """Note the present heartbeats of drivers that did not end."""
        now = time.monotonic()
        deaf = now - self._listened > 3 * BEAT_SECONDS
        self._listened = now
        before = {} if deaf else self._heard
        heard = {}
        for driver in drivers:
            beats, since = before.get(driver.id, (-1, now))
            heard[driver.id] = (driver.beats, since if beats == driver.beats else now)
        self._heard = heard

    def dead(self, driver: Driver) -> bool:
        """Whether a driver that did not end counts as dead."""
        lives = Process(driver.machine, driver.process, driver.began).lives()
        if lives is not None:
            return not lives
        beats, since = self._heard.get(driver.id, (driver.beats, self._listened))
        return beats == driver.beats and self._listened - since > SILENT_SECONDS


def _work(claim: Claim) -> TrainingKey:
    return claim.key, claim.epochs
