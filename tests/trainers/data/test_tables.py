"""Images that a table names."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.image_tables import Rows, album, write
from trainers.data.kept import digest_of
from trainers.data.registry import load
from trainers.data.splits import Dataset, DatasetError


def write_parquet(table: Path, **columns: object) -> str:
    parquet.write_table(pa.table(columns), table)
    return str(table)


def test_a_table_is_the_folder_of_the_same_images(tmp_path: Path) -> None:
    rows = album(tmp_path)
    for at, (path, label) in enumerate(rows):
        place = tmp_path / "folder" / ("test" if at % 5 == 0 else "train") / label
        place.mkdir(parents=True, exist_ok=True)
        (place / Path(path).name).symlink_to(tmp_path / path)
    expected = load(str(tmp_path / "folder"), image_size=8)
    found = [(*row, "test" if at % 5 == 0 else "train") for at, row in enumerate(rows)]
    header = ("path", "label", "split")
    paths, labels, splits = (list(column) for column in zip(*found, strict=True))
    tables = (
        write(tmp_path / "a.csv", header, found),
        write(tmp_path / "a.tsv", header, found, "\t"),
        write(tmp_path / "semicolons.CSV", header, found, ";"),
        write(
            tmp_path / "others.csv",
            (" File ", "n", "Class", "SPLIT"),
            [(p, "1", *more) for p, *more in found],
        ),
        write_parquet(tmp_path / "a.parquet", n=range(20), path=paths, label=labels, split=splits),
    )
    for table in tables:
        dataset = load(table, image_size=8)
        assert dataset.fingerprint == expected.fingerprint, table
        assert dataset.search.name == table
        assert np.array_equal(dataset.open_test().pixels, expected.open_test().pixels)
        assert dataset.remarks == ()


def test_a_spreadsheets_mark_of_bytes_and_its_empty_lines_are_passed_over(tmp_path: Path) -> None:
    rows = album(tmp_path)
    lines = ["path;label", *(";".join(row) for row in rows), "", ";", ""]
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert len(load(str(tmp_path / "a.csv")).search.train) == 13


def test_numbers_are_names_of_classes_and_paths_may_be_whole(tmp_path: Path) -> None:
    rows = album(tmp_path)
    numbers = [int(label == "dog") for _, label in rows]
    whole = [str(tmp_path / path) for path, _ in rows]
    (tmp_path / "elsewhere").mkdir()
    by_parquet = load(
        write_parquet(tmp_path / "elsewhere" / "a.parquet", image=whole, label=numbers)
    )
    by_text = load(
        write(
            tmp_path / "a.csv",
            ("image", "target"),
            [(p, str(n)) for p, n in zip(whole, numbers, strict=True)],
        )
    )
    assert by_parquet.search.classes == ("0", "1")
    assert by_parquet.fingerprint == by_text.fingerprint


def test_any_changed_label_is_noticed(tmp_path: Path) -> None:
    rows = album(tmp_path)
    before = load(write(tmp_path / "a.csv", ("path", "label"), rows))
    rows[0] = rows[0][0], "dog"
    after = load(write(tmp_path / "a.csv", ("path", "label"), rows))
    assert before.fingerprint != after.fingerprint


def loaded(tmp_path: Path, header: Sequence[str], rows: Rows) -> Dataset:
    return load(write(tmp_path / "a.csv", header, rows))


def refused(tmp_path: Path, header: Sequence[str], rows: Rows) -> str:
    with pytest.raises(DatasetError) as caught:
        loaded(tmp_path, header, rows)
    said = str(caught.value).replace(f"{tmp_path}/", "")
    assert "\n" not in said
    return said


def test_columns_that_are_not_found_are_told_with_what_is_there(tmp_path: Path) -> None:
    rows = album(tmp_path)
    for header, wanted in (
        (("id", "label"), "path"),
        (("path", "breed"), "label"),
        (rows[0], "path"),
    ):
        assert refused(tmp_path, header, rows) == (
            f"a.csv has no column {wanted}: its first line has {header[0]!r}, {header[1]!r}; "
            "let it name the columns path and label, and split if there is one"
        )
    with pytest.raises(
        DatasetError, match=r"a.parquet has no column path: its first line has 'id'"
    ):
        load(write_parquet(tmp_path / "a.parquet", id=["x"], label=["y"]))
    assert refused(tmp_path, ("path", "label"), []) == "a.csv names no images"


def test_rows_that_are_wrong_are_named_by_their_line(tmp_path: Path) -> None:
    rows, header = album(tmp_path), ("path", "label")
    said = refused(tmp_path, header, [*rows[:3], ("all/003.png", ""), ("all/004.png", " ")])
    assert said == "a.csv has 2 rows without a label, such as line 5: fill them in or delete them"
    said = refused(tmp_path, header, [*rows, ("a, b.png", "cat", "dog")])
    assert said == "line 22 of a.csv has 3 cells, and there are 2 columns"
    missing: Rows = [("all/lost.png", "cat"), ("all", "dog")]
    assert refused(tmp_path, header, rows + missing) == (
        "2 of 22 files of a.csv are not there: all/lost.png (line 22), all (line 23); paths are "
        f"relative to {tmp_path}"
    )
    said = refused(tmp_path, header, [*rows, ("all/000.png", "dog")])
    assert said == (
        "a.csv has all/000.png twice, as cat of train and as dog of train (line 22): delete one of "
        "the two"
    )
    (told,) = loaded(tmp_path, header, [*rows, rows[0]]).remarks
    assert told == "files that the table has more than once: all/000.png"


def test_splits_are_those_that_have_a_name(tmp_path: Path) -> None:
    rows, header = album(tmp_path), ("path", "label", "split")
    names = ("Training", "valid", "TEST")
    found = loaded(tmp_path, header, [(*row, names[at % 3]) for at, row in enumerate(rows)])
    assert [len(found.search.train), len(found.search.val), len(found.open_test())] == [7, 7, 6]
    without = loaded(tmp_path, header, [(*row, "") for row in rows])
    assert without.fingerprint == loaded(tmp_path, header[:2], rows).fingerprint
    one = [(*row, "train" if at else "") for at, row in enumerate(rows)]
    assert "a.csv has 1 rows without a split, such as line 2" in refused(tmp_path, header, one)
    odd = [(*row, "fold 3") for row in rows]
    said = refused(tmp_path, header, odd)
    assert said == "line 2 of a.csv has the split 'fold 3': give train, val or test"
    said = refused(tmp_path, header, [(*row, "test") for row in rows])
    assert said == "a.csv has test, but no train split"
    strange = [(*row, "train") for row in rows] + [("all/../all/000.png", "bird", "val")]
    said = refused(tmp_path, header, strange)
    assert said == "a.csv has classes in val that train lacks: bird"
    said = refused(tmp_path, header[:2], [(path, "cat") for path, _ in rows])
    assert said == "a.csv has one class; a classifier needs at least 2"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"path,label\n\xff\xfe,cat\n", "save it as UTF-8"),
        (b"path,label\n" + b"x" * 200_000 + b",cat\n", "field larger than field limit"),
        (b"path,label\na\0b.png,cat\n", "1 of 1 files of"),
        (b"path,label\n\xe2\x80\xae.png,cat\n", "1 of 1 files of"),
        (b"", "has no column path: its first line has ;"),
    ],
)
def test_what_is_no_table_is_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load(str(tmp_path / "a.csv"))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables_are_told_what_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 rubbish")
    with pytest.raises(DatasetError, match=r"cannot read .*a.parquet \(Parquet"):
        load(str(tmp_path / "a.parquet"))
    images = [{"bytes": b"x", "path": "a.png"}]
    with pytest.raises(DatasetError, match=r"column image of .* has no texts but struct<bytes"):
        load(write_parquet(tmp_path / "b.parquet", image=images, label=["cat"]))
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(
        DatasetError, match=r"a.xlsx is no table .*: save it as one of \.csv, \.tsv"
    ):
        load(str(tmp_path / "a.xlsx"))
    with pytest.raises(DatasetError, match=r"there is no table .*lost.csv"):
        load(str(tmp_path / "lost.csv"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DatasetError, match=r"there is no table .*pipe.csv"):
        load(str(tmp_path / "pipe.csv"))


def test_kept_pixels_are_told_apart_by_the_whole_paths_of_a_table(tmp_path: Path) -> None:
    """Two names of one file have the same size and times."""
    first = tmp_path / "all" / "000.png"
    album(tmp_path)
    table, second = tmp_path / "labels.csv", first.with_name("other-000.png")
    os.link(first, second)
    table.touch()
    assert digest_of(table, [first]) != digest_of(table, [second])
