"""One database: opened, brought to the current schema, and written to even after failures.

A write waits up to `patience` seconds for a database that is away or full. Readers do not wait: a
person waits for them.
"""

import contextlib
import os
import shlex
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError as MigrationError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from nas_space.errors import ConvnasError
from nas_space.extras import cure
from nas_space.programs import program, runner
from studies.arguments import with_driver
from studies.records.connection.open_file import OpenFile
from studies.records.connection.waiting import Waiting
from studies.records.urls import shown, without_secrets

VERSION_TABLE = "nas_alembic_version"
SQLITE_BUSY_SECONDS = 60
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 5.0
_UPGRADES, _UPGRADE_PAUSE_SECONDS = 6, 0.2
"""Several searches may create the same tables at once: those that fail try again a little later."""
_PASSING_IN_SQLITE = frozenset({5, 6, 7, 10, 13, 14, 15})
"""Result codes of SQLite: busy, locked, no memory, I/O error, full, cannot open, lock protocol."""

_ENCODE = "percent-encode the password if it has one of @ : / ? # % in it: @ is %40, % is %25"

T = TypeVar("T")


class StoreError(ConvnasError):
    """A database that cannot be used as asked; the message says what to do about it."""


class UnavailableError(StoreError):
    """A database that is away or full, and did not come back in time."""


class LostFileError(StoreError):
    """An SQLite file that was deleted or replaced while it was in use."""


class Database:
    """The connections to one database, whose tables are those of this release.

    Args:
        url: an SQLAlchemy URL. A missing SQLite file is made only if `create` says so.
        create: True for a search, which may create a database; False for a reader.
        on_wait: called with the reason once the database was waited for for a few seconds.

    Raises:
        StoreError: the URL is malformed, or the database cannot be opened.
    """

    def __init__(
        self, url: str, *, create: bool, on_wait: Callable[[str], None] | None = None
    ) -> None:
        self.url = parse_url(url)
        self.shown_url = shown(self.url)
        self._waiting = Waiting(on_wait)
        if not create:
            self._check_exists()
        with self._waiting.told(), self._errors():
            self._engine = _engine(self.url, create=create)
            try:
                self._bring_up_to_date(create=create)
                self._check_file = keep_to_its_file(self._engine)
            except BaseException:
                self._engine.dispose()
                raise

    def write(self, work: Callable[[Session], T], patience: float = 0.0) -> T:
        """Do some work in one transaction, repeated until it is committed.

        If the connection breaks during a commit, the outcome is unknown, and the work is repeated:
        it must see for itself whether it was done already.

        Args:
            work: uses the session, which is committed afterwards.
            patience: seconds to wait for a database that is away or full.

        Raises:
            UnavailableError: it did not come back in time.
            StoreError: it failed for another reason, which waiting does not cure.
        """
        return self._patiently(lambda: self._committed(work), patience)

    def read(self, work: Callable[[Session], T], patience: float = 0.0) -> T:
        """Look something up, repeated until the database answers.

        Args:
            work: uses the session.
            patience: see `write`.

        Raises:
            StoreError: see `write`.
        """

        def attempt() -> T:
            with Session(self._engine, expire_on_commit=False) as session, self._damages():
                return work(session)

        return self._patiently(attempt, patience)

    def check_file(self) -> None:
        """See that the path of an SQLite database still leads to the file that is in use.

        Raises:
            LostFileError: it does not.
        """
        self._check_file()

    def salvage(self, work: Callable[[Session], T]) -> T:
        """Look something up in a lost file, which stays readable while this process has it open.

        Args:
            work: uses the session.

        Raises:
            StoreError: it cannot be read any more.
        """
        self.empty_log()
        with self._errors(), Session(self._engine) as session, self._damages():
            return work(session)

    def empty_log(self) -> None:
        """Move what is in SQLite's log (FILE-wal) into the file, if that can be done.

        SQLite does so when the last connection closes, but not if another file is at the path by
        then. It would take the log for that file's own, and damage it.
        """
        if self._engine.dialect.name == "sqlite":
            with contextlib.suppress(SQLAlchemyError, StoreError), self._engine.connect() as opened:
                opened.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _committed(self, work: Callable[[Session], T]) -> T:
        with Session(self._engine, expire_on_commit=False) as session:
            self._begin(session)
            with self._damages():
                done = work(session)
            session.commit()
            return done

    def _patiently(self, attempt: Callable[[], T], patience: float) -> T:
        latest, pause = time.monotonic() + patience, _FIRST_PAUSE_SECONDS
        with self._waiting.told() as because:
            while True:
                self.check_file()
                try:
                    with self._errors():
                        return attempt()
                except StoreError as error:
                    self.check_file()  # a lost file is the cause of whatever has failed
                    if not isinstance(error, UnavailableError) or time.monotonic() > latest:
                        raise
                    because(str(error))
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _begin(self, session: Session) -> None:
        if self._engine.dialect.name == "sqlite":
            # A transaction that reads first fails at its first write if another has written in
            # between.
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")

    def _check_exists(self) -> None:
        if self.url.get_backend_name() == "sqlite" and not Path(str(self.url.database)).is_file():
            raise StoreError(
                f"no database at {self.url.database}: run a search first, or say --storage"
            )

    def _bring_up_to_date(self, *, create: bool) -> None:
        for attempt in range(1, _UPGRADES + 1):
            with self._engine.connect() as connection:
                try:
                    self._upgrade(connection, create=create)
                except DatabaseError:
                    if not create or attempt == _UPGRADES:
                        raise
                else:
                    return
            time.sleep(_UPGRADE_PAUSE_SECONDS * attempt)

    def _upgrade(self, connection: Connection, *, create: bool) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        scripts = ScriptDirectory.from_config(config)
        head = scripts.get_current_head()
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        current = context.get_current_revision()
        if current == head:
            return
        if current is None and not create:
            raise StoreError(f"no study in {self.shown_url} yet: run a search first")
        if current is not None and current not in {s.revision for s in scripts.walk_revisions()}:
            raise StoreError(
                f"{self.shown_url} was written by a newer convnas: upgrade this one, or say "
                "another --storage"
            )
        connection.rollback()
        config.attributes["connection"] = connection
        if self._engine.dialect.name == "sqlite":
            # Its driver begins no transaction for new tables: a failure would leave half a schema.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(config, "head")
        connection.commit()
        if current is not None:
            line = f"note: {self.shown_url} has new columns now: an older convnas refuses it"
            print(line, file=sys.stderr)  # noqa: T201 - whoever uses both has to know

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn database errors into one line, without the password."""
        try:
            yield
        except StoreError:
            raise
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError(f"no driver for {self.shown_url}: {error}{_cure(self.url)}") from None
        # Drivers refuse some settings with Python's built-in errors.
        except (SQLAlchemyError, MigrationError, TypeError, ValueError) as error:
            raise self._said(error) from None

    @contextmanager
    def _damages(self) -> Iterator[None]:
        """Turn the errors of rows that no search has written into one line."""
        try:
            yield
        except StoreError:
            raise
        # No valid JSON, date or status, or refused by `studies.records.validation`.
        except (LookupError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(
                f"{self.shown_url} is damaged, or not from convnas ({error}): restore a copy "
                "of it, or say another --storage"
            ) from None

    def _said(self, error: Exception) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else repr(cause)
        reason = without_secrets(reason, self.url) + remedy(error, self.url)
        kind = UnavailableError if _passes(error) else StoreError
        return kind(f"cannot use the database {self.shown_url}: {reason}")


def keep_to_its_file(engine: Engine) -> Callable[..., None]:
    """Let an engine open and commit only while its path leads to the file that is there now.

    A new connection would open another file, with the log of this one.

    Returns:
        A check of the same: it raises LostFileError. For a server's database it does nothing.

    Raises:
        OSError: there is no file.
    """
    url = engine.url
    if url.get_backend_name() != "sqlite":
        return lambda: None
    file = OpenFile.at(Path(str(url.database)))

    def check(*_: object) -> None:
        harm = file.harm()
        if harm is not None:
            raise LostFileError(f"{shown(url)} was {harm} while it was in use")

    event.listen(engine, "do_connect", check)
    event.listen(engine, "commit", check)
    return check


def _passes(error: Exception) -> bool:
    """Whether the same work may succeed a little later."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        # The low byte is the result code, the others give details.
        return code & 0xFF in _PASSING_IN_SQLITE
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def remedy(error: Exception, url: URL) -> str:
    """What to do about an SQLite file with a damaged page, to be added to a line; else nothing."""
    code = getattr(error.orig, "sqlite_errorcode", 0) if isinstance(error, DBAPIError) else 0
    if code & 0xFF != sqlite3.SQLITE_CORRUPT:
        return ""
    where = f"--storage {shlex.quote(shown(url))}"
    return f"; save what can be read: {runner()}{program('studies.rescue')} {where}"


def _cure(url: URL) -> str:
    """The extra that brings the driver of a database, to be added to a line; else nothing."""
    drivers = {"postgresql+psycopg": "postgresql", "mysql+pymysql": "mysql"}
    extra = drivers.get(url.drivername)
    return f"; {cure(extra)}" if extra else ""


def parse_url(url: str) -> URL:
    """Read an SQLAlchemy URL.

    Raises:
        StoreError: it is malformed, or its database would not outlive the process.
    """
    try:
        parsed = make_url(with_driver(url))
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "--storage must be an SQLAlchemy URL like sqlite:///convnas.db or "
            f"postgresql+psycopg://user:password@host/database; {_ENCODE}"
        ) from None
    if not (url.isprintable() and (parsed.database or "").isprintable()):
        raise StoreError("--storage must be printable text")
    places = [parsed.host or "", "" if backend == "sqlite" else parsed.database or ""]
    if any("@" in place for place in places):
        raise StoreError(
            f"--storage has two @: write one that belongs to the password as %40; {_ENCODE}"
        )
    if backend == "sqlite" and parsed.query:
        raise StoreError("an SQLite database takes no parameters: say sqlite:///FILE")
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError(
            "a database in memory would be lost with the search: say sqlite:///FILE instead"
        )
    if backend == "sqlite":  # a shell leaves ~ to us
        return parsed.set(database=os.path.expanduser(str(parsed.database)))  # noqa: PTH111
    return parsed


def _engine(url: URL, *, create: bool) -> Engine:
    if url.get_dialect().is_async:
        raise StoreError(f"{url.drivername} is asynchronous: name another driver, like psycopg")
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS})

    def tune(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        if create:
            # Readers (a dashboard) and the writer do not wait for each other. The file keeps this.
            connection.execute("PRAGMA journal_mode=WAL")
        # Commits survive even if the power fails or a cloud takes the machine away.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", tune)
    return engine
