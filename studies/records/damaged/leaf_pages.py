"""The rows that stand on an SQLite file's leaf pages, also where no page leads to them.

The form of the file: https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1.
"""

import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

_LEAF_OF_A_TABLE = 0x0D
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""Bytes of a NULL or a number, by its serial type."""
_REAL, _ONE, _BLOB, _TEXT = 7, 9, 12, 13
"""Serial types; blobs have the even ones from here on, texts the odd ones."""
_Types = Sequence[tuple[type, ...]]
Rows = dict[int, dict[str, object]]
"""Values by the names of their columns, by the numbers of their rows."""


def rows_on_leaves(source: sqlite3.Connection, table: str, folder: Path) -> Rows:
    """Rows that can be of a table, by their numbers: their values are as many, and of its types.

    Pages that are free by now count as well: our rows never change.

    Args:
        source: the damaged file. What is in its write-ahead log is read as well.
        table: its name. The first column is the row's number.
        folder: has room for a copy of the file.

    Raises:
        sqlite3.Error: the file cannot be copied.
    """
    columns = source.execute(f"PRAGMA table_info({table})").fetchall()
    names = [column["name"] for column in columns]
    types = [_types(column["type"], may_lack=not column["notnull"]) for column in columns]
    types[0] = (type(None),)  # SQLite keeps the number beside the values
    # Rows that were written before a column was added have no value of it.
    since_ever = [column["notnull"] and column["dflt_value"] is None for column in columns]
    fewest = max(i for i, always in enumerate(since_ever, 1) if always)
    found: Rows = {}
    with TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary, "pages.db")
        with closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
        with path.open("rb") as file:
            for number, values in _records(file, types, fewest):
                found[number] = dict(zip(names, [number, *values[1:]], strict=False))
    return found


def _types(declared: str, *, may_lack: bool) -> tuple[type, ...]:
    """What SQLite's module reads of a column of ours."""
    if "INT" in declared or declared == "BOOLEAN":
        types: tuple[type, ...] = (int,)
    else:
        types = {"DOUBLE": (int, float), "BLOB": (bytes,)}.get(declared, (str,))
    return (*types, type(None)) if may_lack else types


def _records(file: BinaryIO, types: _Types, fewest: int) -> Iterator[tuple[int, list[object]]]:
    """Number and values of every record of these types on a leaf page of any table."""
    head = file.read(21)
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    at = size  # the first page is the list of tables
    while page := _read(file, at, size):
        cells = int.from_bytes(page[3:5], "big") if page[0] == _LEAF_OF_A_TABLE else 0
        for cell in range(cells):
            place = int.from_bytes(page[8 + 2 * cell : 10 + 2 * cell], "big")
            try:
                length, place = _varint(page, place)
                number, place = _varint(page, place)
                kinds = _kinds(page[place:])
                if fewest <= len(kinds) <= len(types) and all(map(_is_one_of, kinds, types)):
                    payload = _payload(file, page[: size - head[20]], place, length, size)
                    yield number, _values(payload, kinds)
            except (IndexError, ValueError, struct.error):
                continue  # damaged, or no page of a table at all
        at += size


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for end in range(place, place + 8):
        value = value << 7 | data[end] & 0x7F
        if data[end] < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, end + 1
    return value << 8 | data[place + 8], place + 9


def _kinds(record: bytes) -> list[int]:
    """The serial types of a record's values."""
    end, place = _varint(record, 0)
    kinds = []
    while place < end:
        kind, place = _varint(record, place)
        kinds.append(kind)
    return kinds


def _is_one_of(kind: int, types: tuple[type, ...]) -> bool:
    if kind >= _BLOB:
        return (str if kind % 2 else bytes) in types
    if kind > _ONE:
        return False
    return (type(None) if kind == 0 else float if kind == _REAL else int) in types


def _payload(file: BinaryIO, page: bytes, place: int, length: int, size: int) -> bytes:
    """A record's bytes: those on its leaf, and those on the pages that its leaf leads to."""
    usable = len(page)
    most, least = usable - 35, (usable - 12) * 32 // 255 - 23
    here = length
    if length > most:
        here = least + (length - least) % (usable - 4)
        here = here if here <= most else least
    parts, following = [page[place : place + here]], page[place + here : place + here + 4]
    left = length - here
    while left > 0:
        page = _read(file, (int.from_bytes(following, "big") - 1) * size, size)[:usable]
        parts.append(page[4 : 4 + left])
        if not parts[-1]:
            raise ValueError
        left -= len(parts[-1])
        following = page[:4]
    return b"".join(parts)


def _values(record: bytes, kinds: Sequence[int]) -> list[object]:
    place, _ = _varint(record, 0)
    values = []
    for kind in kinds:
        size = (kind - _BLOB) // 2 if kind >= _BLOB else _SIZES[kind]
        data = record[place : place + size]
        if len(data) != size:
            raise ValueError
        values.append(_value(kind, data))
        place += size
    return values


def _value(kind: int, data: bytes) -> object:
    if kind >= _BLOB:
        return data.decode(errors="replace") if kind % 2 else data
    if kind == 0:
        return None
    if kind == _REAL:
        return struct.unpack(">d", data)[0]
    return int(kind == _ONE) if not data else int.from_bytes(data, "big", signed=True)
