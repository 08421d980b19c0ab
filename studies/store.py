"""The database: opened, brought to the current schema, read and written."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError as MigrationError
from sqlalchemy import Engine, create_engine, delete, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session, defer

from studies.front import front
from studies.records import Evaluation, Export, Status, Study, Weights
from studies.soundness import sound
from studies.urls import shown, without_secrets

_VERSION_TABLE = "nas_alembic_version"
SQLITE_BUSY_SECONDS = 60
_ATTEMPTS = 6


class StoreError(ValueError):
    """A database that cannot be used as asked; the message says what to do about it."""


class Store:
    """Our tables in one database.

    Args:
        url: an SQLAlchemy URL. A missing SQLite file is made only if `create` says so.
        create: whether this is the search, which starts databases, or a reader.

    Raises:
        StoreError: the URL is malformed, or the database cannot be opened.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.url = parse_url(url)
        self.shown_url = shown(self.url)
        if not create:
            self._check_exists()
        with self._errors():
            self._engine = _engine(self.url, create=create)
            try:
                self._migrate(create=create)
            except BaseException:
                self._engine.dispose()
                raise

    def studies(self) -> list[tuple[Study, int, int]]:
        """Every study with its numbers of finished and failed evaluations, oldest first."""
        finished = func.count().filter(Evaluation.status == Status.FINISHED)
        failed = func.count().filter(Evaluation.status == Status.FAILED)
        # JSON columns cannot be grouped by on every database: group by the key alone.
        counts = (
            select(Evaluation.study_id, finished.label("finished"), failed.label("failed"))
            .group_by(Evaluation.study_id)
            .subquery()
        )
        query = (
            select(Study, func.coalesce(counts.c.finished, 0), func.coalesce(counts.c.failed, 0))
            .outerjoin(counts, counts.c.study_id == Study.id)
            .order_by(Study.id)
        )
        with self._session() as session:
            return [(sound(study), done, bad) for study, done, bad in session.execute(query)]

    def study(self, name: str | None) -> Study:
        """The study of that name; without one, the only study there is.

        Raises:
            StoreError: there is no such study, or no telling which is meant.
        """
        found = [study for study, _, _ in self.studies()]
        if not found:
            raise StoreError(f"no study in {self.shown_url} yet: run a search first")
        names = ", ".join(study.name for study in found)
        if name is None:
            if len(found) > 1:
                raise StoreError(f"{self.shown_url} holds several studies, say --study: {names}")
            return found[0]
        for study in found:
            if study.name == name:
                return study
        raise StoreError(f"no study {name!r} in {self.shown_url}; it holds: {names}")

    def enter(self, study: Study) -> Study:
        """The stored study of the same name, made from this one if there is none.

        Raises:
            StoreError: the stored one asks another question (space, data set or recipe).
        """
        with self._session() as session:
            stored = session.scalar(select(Study).where(Study.name == study.name))
            if stored is None:
                session.add(study)
                session.commit()
                return study
            sound(stored)
        parts = {
            "space": (stored.space, study.space),
            "data set": (_identity(stored.dataset), _identity(study.dataset)),
            "recipe": (stored.recipe, study.recipe),
        }
        for what, (old, new) in parts.items():
            if old != new:
                raise StoreError(
                    f"study {study.name!r} has another {what} ({_difference(old, new)}); "
                    "continue it with the same one, or give this search another --study name"
                )
        return stored

    def evaluations(self, study: Study) -> list[Evaluation]:
        """All evaluations of a study, by number."""
        query = select(Evaluation).where(Evaluation.study_id == study.id)
        with self._session() as session:
            return [sound(row) for row in session.scalars(query.order_by(Evaluation.number))]

    def record(self, evaluation: Evaluation, weights: Callable[[], bytes] | None = None) -> None:
        """Write one evaluation, and its weights if it is on the front, in one transaction.

        It gets the study's next number. Weights of evaluations that it pushes off the front are
        dropped.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with Session(self._engine, expire_on_commit=False) as session:
                    self._record(session, evaluation, weights)
            except SQLAlchemyError as error:
                # Another driver on this study took the number meanwhile, or the server is away.
                if attempt == _ATTEMPTS or not isinstance(error, IntegrityError | OperationalError):
                    raise self._said(error) from None
                time.sleep(0.05 * 2**attempt)
            else:
                return

    def weights(self, evaluation: Evaluation) -> bytes | None:
        """The trained weights in safetensors form; None if they were not kept."""
        with self._session() as session:
            return session.scalar(
                select(Weights.data).where(Weights.evaluation_id == evaluation.id)
            )

    def record_export(self, export: Export) -> None:
        """Write down one look at the test split."""
        with self._session() as session:
            session.add(export)
            session.commit()

    def exports(self, study: Study) -> list[Export]:
        """All looks at the test split that a study has had, oldest first."""
        query = select(Export).join(Evaluation).where(Evaluation.study_id == study.id)
        with self._session() as session:
            return [sound(row) for row in session.scalars(query.order_by(Export.id))]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _record(
        self, session: Session, evaluation: Evaluation, weights: Callable[[], bytes] | None
    ) -> None:
        taken = select(func.max(Evaluation.number)).where(
            Evaluation.study_id == evaluation.study_id
        )
        last = session.scalar(taken)
        evaluation.number = 0 if last is None else last + 1
        session.add(evaluation)
        if weights is not None:
            session.flush()
            self._keep_weights(session, evaluation, weights)
        session.commit()

    def _keep_weights(
        self, session: Session, evaluation: Evaluation, weights: Callable[[], bytes]
    ) -> None:
        kept = session.scalars(
            select(Evaluation)
            .join(Weights, Weights.evaluation_id == Evaluation.id)
            .where(Evaluation.study_id == evaluation.study_id)
            .options(defer(Evaluation.architecture), defer(Evaluation.versions))
        )
        best = front([*kept, evaluation])
        if evaluation not in best:
            return
        session.add(Weights(evaluation_id=evaluation.id, data=weights()))
        keep = [member.id for member in best]
        mine = select(Evaluation.id).where(Evaluation.study_id == evaluation.study_id)
        session.execute(
            delete(Weights).where(
                Weights.evaluation_id.in_(mine), Weights.evaluation_id.not_in(keep)
            )
        )

    def _check_exists(self) -> None:
        if self.url.get_backend_name() == "sqlite" and not Path(str(self.url.database)).is_file():
            raise StoreError(
                f"no database at {self.url.database}: run a search first, or say --storage"
            )

    def _migrate(self, *, create: bool) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        scripts = ScriptDirectory.from_config(config)
        head = scripts.get_current_head()
        known = {script.revision for script in scripts.walk_revisions()}
        with self._engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": _VERSION_TABLE})
            current = context.get_current_revision()
            if current == head:
                return
            if current is None and not create:
                raise StoreError(f"no study in {self.shown_url} yet: run a search first")
            if current is not None and current not in known:
                raise StoreError(
                    f"{self.shown_url} was written by a newer convnas: upgrade this one"
                )
            connection.rollback()
            config.attributes["connection"] = connection
            if self.url.get_backend_name() == "sqlite":
                # Its driver begins no transaction for new tables: half a schema would stay.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            command.upgrade(config, "head")
            connection.commit()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._errors(), Session(self._engine, expire_on_commit=False) as session:
            try:
                yield session
            except (LookupError, RecursionError, TypeError, ValueError) as error:
                # What is no JSON, no date and no status, and what `sound` refuses.
                raise StoreError(
                    f"{self.shown_url} is damaged, or not from convnas ({error}): restore a copy "
                    "of it, or say another --storage"
                ) from None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say database errors in one line, without the password."""
        try:
            yield
        except StoreError:
            raise
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError(f"no driver for {self.shown_url}: {error}") from None
        # Drivers refuse some settings with Python's own errors.
        except (SQLAlchemyError, MigrationError, TypeError, ValueError) as error:
            raise self._said(error) from None

    def _said(self, error: Exception) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        reason = str(cause).strip().splitlines()[0] if str(cause).strip() else repr(cause)
        reason = without_secrets(reason, self.url)
        return StoreError(f"cannot use the database {self.shown_url}: {reason}")


def parse_url(url: str) -> URL:
    """Read an SQLAlchemy URL.

    Raises:
        StoreError: it is malformed, or its database would not outlive the process.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "--storage must be an SQLAlchemy URL like sqlite:///convnas.db or "
            "postgresql+psycopg://user:password@host/database"
        ) from None
    if not (url.isprintable() and (parsed.database or "").isprintable()):
        raise StoreError("--storage must be printable text")
    if "@" in (parsed.host or ""):
        raise StoreError("--storage has two @: write one that belongs to the password as %40")
    if backend == "sqlite" and parsed.query:
        raise StoreError("an SQLite database takes no parameters: say sqlite:///FILE")
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError(
            "a database in memory would be lost with the search: say sqlite:///FILE instead"
        )
    return parsed


def _engine(url: URL, *, create: bool) -> Engine:
    if url.get_dialect().is_async:
        raise StoreError(f"{url.drivername} is asynchronous: name another driver, like psycopg")
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS})

    def tune(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
        if create:
            # Readers (a dashboard) and the writer do not wait for each other. The file remembers.
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", tune)
    return engine


def _identity(dataset: dict[str, Any]) -> dict[str, Any]:
    """What makes two data sets the same one: not where they lie, but what is in them."""
    return {name: dataset.get(name) for name in ("fingerprint", "flip")}


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    name = changed[0]
    values = f"{old.get(name)!r}, now {new.get(name)!r}"
    return f"{name}: {values}" if len(values) < 80 else name  # noqa: PLR2004 - fits a line
