"""An SQLite file with damaged pages: what of our tables can still be read, copied row by row.

SQLite ends a query at the first page that it cannot read. Rows are looked up one by one here, so
that each damaged page costs only the rows on it. Rows of a table whose pages nothing leads to any
more are found on the pages themselves.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Table, column
from sqlalchemy.orm import Session

from nas_space.errors import ConvnasError
from studies.records.damaged.leaf_pages import Rows, rows_on_leaves
from studies.records.database import StoreError
from studies.records.store import Store
from studies.records.tables import (
    Base,
    Checkpoint,
    Evaluation,
    Export,
    Retraining,
    Study,
    Weights,
)
from studies.records.validation import validated

_TABLES: tuple[type[Base], ...] = (Study, Evaluation, Weights, Checkpoint, Export, Retraining)
"""Each after those that it refers to. Claims are not copied: what they name is trained anew."""
_CHECKED = (Study, Evaluation, Export, Retraining)
"""Those with checks. The types of their values tell their rows from those of all other tables."""
_MOST_MISSES = 1000
"""So many numbers in a row without a row end a table whose last number no page tells."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was read of a table.

    Attributes:
        table: its class.
        rows: how many are in the new database.
        lost: how many are not; of what refers to evaluations, at most so many.
    """

    table: type[Base]
    rows: int
    lost: int


def copy_readable(damaged: Path, new: Store, into: Path) -> list[Saved]:
    """Copy what can be read of a damaged file into a new database. The file is left as it is.

    Rows keep their numbers. Optuna's tables are not copied: the next search writes them again.

    Args:
        damaged: an SQLite file.
        new: of this release, and empty.
        into: the file of `new`.

    Raises:
        StoreError: nothing can be read.
    """
    with _opened(damaged) as source, closing(sqlite3.connect(into)) as target:
        target.execute("PRAGMA foreign_keys=ON")
        found = {table: _copied(source, target, table, into.parent) for table in _TABLES}
        target.commit()
    return [
        Saved(table, found[table].rows - bad, found[table].lost + bad)
        for table, bad in _dropped(new).items()
    ]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, which is not written to."""
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
        ) as source:
            source.text_factory = lambda data: data.decode(errors="replace")
            source.row_factory = sqlite3.Row
            names = {row["name"] for row in source.execute("SELECT name FROM sqlite_master")}
            if Evaluation.__tablename__ not in names:
                raise StoreError(f"{path} holds no study")
            yield source
    except sqlite3.Error as error:
        raise StoreError(
            f"nothing of {path} can be read ({error}): what SQLite's own program finds, it shows "
            f"by: sqlite3 {path} .recover"
        ) from None


def _copied(
    source: sqlite3.Connection, target: sqlite3.Connection, table: type[Base], folder: Path
) -> Saved:
    rows = lost = misses = 0
    name = table.__tablename__
    leaves = cache(lambda: rows_on_leaves(source, name, folder) if table in _CHECKED else {})
    last = _last(source, name)
    if last is None:
        last = max(leaves(), default=None)
    if last is None and table not in {Study, Evaluation}:
        last = _last(source, Evaluation.__tablename__)  # there are hardly more
    number = 0
    while number < last if last is not None else misses < _MOST_MISSES:
        number += 1
        try:
            row = _row(source, name, number, leaves)
            if row is not None:
                _insert(target, table.metadata.tables[name], row)
        except (sqlite3.DatabaseError, ValueError):
            lost += 1
            misses += 1
        else:
            rows += row is not None
            misses = 0 if row is not None else misses + 1
    return Saved(table, rows, lost if last is not None else lost - misses)


def _row(
    source: sqlite3.Connection, table: str, number: int, leaves: Callable[[], Rows]
) -> dict[str, object] | None:
    """The row of a number, None if there is none.

    Raises:
        sqlite3.DatabaseError: no page tells.
    """
    try:
        query = f"SELECT * FROM {table} WHERE rowid = ?"  # noqa: S608 - a name of ours
        row = source.execute(query, (number,)).fetchone()
    except sqlite3.DatabaseError:
        if number not in leaves():
            raise
        return leaves()[number]
    return None if row is None else dict(row)


def _last(source: sqlite3.Connection, table: str) -> int | None:
    """The last number of a table, or of an index on it; None if no page tells it."""
    indexes = [f" INDEXED BY {name}" for name in _indexes(source, table)]
    for by in ["", *indexes]:
        try:
            query = f"SELECT max(rowid) FROM {table}{by}"  # noqa: S608 - names of ours
            (last,) = source.execute(query).fetchone()
        except sqlite3.DatabaseError:
            continue
        return last or 0
    return None


def _indexes(source: sqlite3.Connection, table: str) -> list[str]:
    try:
        return [row["name"] for row in source.execute(f"PRAGMA index_list({table})")]
    except sqlite3.DatabaseError:
        return []


def _insert(target: sqlite3.Connection, table: Table, row: dict[str, object]) -> None:
    if table.name == Evaluation.__tablename__:
        # The objective of all older searches was MACs.
        row.setdefault("cost", row.get("macs"))
    names = [name for name in row if name in table.columns]
    marks = ", ".join("?" * len(names))
    query = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - likewise
    target.execute(query, [row[name] for name in names])


def _dropped(new: Store) -> dict[type[Base], int]:
    """Delete the rows that nothing would read, as their text is damaged; how many in each table."""

    def work(session: Session) -> dict[type[Base], int]:
        dropped = dict.fromkeys(_TABLES, 0)
        for table in _CHECKED:
            key = table.__mapper__.primary_key[0]
            for (number,) in session.query(key).all():
                if not _is_valid(session, table, number):
                    _drop(session, table, number, dropped)
        return dropped

    return new.database.write(work)


def _is_valid(session: Session, table: type[Base], number: int) -> bool:
    try:
        row = session.get(table, number)
        if isinstance(row, Evaluation):
            _ = row.parsed_architecture
        return row is not None and validated(row) is row
    except (ConvnasError, LookupError, RecursionError, TypeError, ValueError):
        return False
    finally:
        session.expunge_all()


def _drop(session: Session, table: type[Base], number: int, dropped: dict[type[Base], int]) -> None:
    """Delete a row and all that refers to it."""
    mine = table.__table__
    for other in reversed(_TABLES):
        for key in other.__table__.foreign_keys:
            if key.column.table is mine:
                wanted = other.__mapper__.primary_key[0]
                refers = session.query(wanted).filter(column(key.parent.name) == number)
                for (theirs,) in refers.all():
                    _drop(session, other, theirs, dropped)
    own = table.__mapper__.primary_key[0]
    session.query(table).filter(own == number).delete(synchronize_session=False)
    dropped[table] += 1
