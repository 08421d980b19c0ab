"""Files are replaced whole or not at all."""

from pathlib import Path

import pytest

from trainers.files import write_whole


def test_a_file_is_written_and_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for data in (b"long " * 100, b"short"):
        write_whole(tmp_path / "f", data)
        assert (tmp_path / "f").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "f", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
