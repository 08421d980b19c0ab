"""A table of a user's own images: a file of paths and labels, with or without a column of splits.

The first line of a CSV or TSV file names the columns. Parquet is read by pyarrow.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from trainers.data.listing import SPLITS, Labelled, Listing, of_rows, some
from trainers.data.reading import Reading
from trainers.data.splits import DatasetError

SUFFIXES = (".csv", ".tsv", ".parquet")
PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "image_path", "img", "img_path"),
)
LABELS = ("label", "class", "category", "target", "class_name", "label_name")
_SPLIT_NAMES = ("split", "set", "subset", "partition")
_DELIMITERS = ",;\t"


class _Row(NamedTuple):
    """An image, and where in the table it stands."""

    where: str
    path: str
    label: str
    split: str


def listed(table: Path, reading: Reading) -> Listing:  # noqa: ARG001 - as `listing.listed`
    """The images that a table names; their paths are relative to its folder.

    Args:
        table: one of `SUFFIXES`.
        reading: of the files.

    Raises:
        DatasetError: it cannot be read, its columns or rows are not understood, or files are not
            there.
    """
    header, lines = (_parquet if table.suffix.lower() == ".parquet" else _text)(table)
    rows = list(_rows(table, header, lines))
    if not rows:
        raise DatasetError(f"{table} names no images")
    _check_cells(table, rows)
    has_splits = any(row.split for row in rows)
    files: dict[str, list[Labelled]] = {}
    known: dict[Path, tuple[str, str]] = {}
    twice: Counter[str] = Counter()
    missing: list[str] = []
    for row in rows:
        split = _split(table, row) if has_splits else "train"
        path = table.parent / row.path
        if path in known:
            if known[path] != (split, row.label):
                raise DatasetError(
                    f"{table} has {row.path} twice, as {' of '.join(reversed(known[path]))} and as "
                    f"{row.label} of {split} ({row.where}): delete one of the two"
                )
            twice[row.path] += 1
            continue
        known[path] = split, row.label
        files.setdefault(split, []).append(Labelled(path, row.label))
        if not path.is_file():
            missing.append(f"{row.path} ({row.where})")
    if missing:
        raise DatasetError(
            f"{len(missing):,} of {len(known):,} files of {table} are not there: {some(missing)}; "
            f"paths are relative to {table.parent.resolve()}"
        )
    remarks = [f"files that the table has more than once: {some(list(twice))}"] if twice else []
    return of_rows(table, files, remarks)


def column(names: Sequence[str], known: Sequence[str]) -> int | None:
    """The position of the column that has one of the known names; the first known one counts."""
    plain = [name.strip().lower() for name in names]
    return next((plain.index(name) for name in known if name in plain), None)


def _rows(
    table: Path, header: Sequence[str], lines: Iterable[tuple[str, Sequence[str]]]
) -> Iterator[_Row]:
    path, label, split = (column(header, known) for known in (PATHS, LABELS, _SPLIT_NAMES))
    if path is None or label is None:
        wanted = "path" if path is None else "label"
        raise DatasetError(
            f"{table} has no column {wanted}: its first line has {some(list(map(repr, header)))}; "
            "let it name the columns path and label, and split if there is one"
        )
    for where, cells in lines:
        if len(cells) != len(header):
            raise DatasetError(
                f"{where} of {table} has {len(cells)} cells, and there are {len(header)} columns"
            )
        found = (cells[at].strip() if at is not None else "" for at in (path, label, split))
        yield _Row(where, *found)


def _check_cells(table: Path, rows: Sequence[_Row]) -> None:
    with_splits = any(row.split for row in rows)
    for name in ("path", "label", "split"):
        empty = [row for row in rows if not getattr(row, name)]
        if empty and (name != "split" or with_splits):
            raise DatasetError(
                f"{table} has {len(empty):,} rows without a {name}, such as {empty[0].where}: fill "
                "them in or delete them"
            )


def _split(table: Path, row: _Row) -> str:
    found = SPLITS.get(row.split.lower())
    if found is None:
        raise DatasetError(
            f"{row.where} of {table} has the split {row.split!r}: give train, val or test"
        )
    return found


def _text(table: Path) -> tuple[Sequence[str], Iterator[tuple[str, Sequence[str]]]]:
    """Names of columns, and the cells of each line."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            is_tsv = table.suffix.lower() == ".tsv"
            reader = csv.reader(
                file, delimiter="\t" if is_tsv else max(_DELIMITERS, key=first.count)
            )
            lines = [(f"line {reader.line_num}", cells) for cells in reader if any(cells)]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        cure = "; save it as UTF-8" * isinstance(error, UnicodeDecodeError)
        raise DatasetError(f"cannot read {table} ({error}){cure}") from None
    return (lines[0][1] if lines else []), iter(lines[1:])


def _parquet(table: Path) -> tuple[Sequence[str], Iterator[tuple[str, Sequence[str]]]]:
    """Names of the columns that are wanted, and the cells of each row."""
    try:
        import pyarrow  # noqa: ICN001, PLC0415 - only such tables need it
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise DatasetError(
            f"{table} needs pyarrow: pip install pyarrow, or save it as CSV"
        ) from None
    try:
        names = parquet.read_schema(table).names
        places = [column(names, known) for known in (PATHS, LABELS, _SPLIT_NAMES)]
        wanted = [names[at] for at in places if at is not None] or names[:0]
        found = parquet.read_table(table, columns=wanted)
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetError(f"cannot read {table} ({str(error).splitlines()[0]})") from None
    if None in places[:2]:
        return names, iter(())
    for name in wanted:
        kind = found.schema.field(name).type
        if pyarrow.types.is_nested(kind) or pyarrow.types.is_binary(kind):
            raise DatasetError(f"the column {name} of {table} has no texts but {kind}")
    cells = zip(*(found.column(name).to_pylist() for name in wanted), strict=True)
    texts = (["" if cell is None else str(cell) for cell in row] for row in cells)
    return wanted, ((f"row {at}", row) for at, row in enumerate(texts))
