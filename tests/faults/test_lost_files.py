"""Real searches whose SQLite file is deleted or replaced: they say so, and lose nothing."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults import invariants
from tests.faults.searching import RUNGS, Search
from tests.faults.test_searches import wait_for_rows
from tests.small_disk import small_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Windows keeps open files in their place"),
]


def delete(database: Path) -> None:
    """As `rm study.db*` does."""
    for part in database.parent.glob(f"{database.name}*"):
        part.unlink()


def put_back(database: Path) -> None:
    """Move an older copy over it, as somebody does who wants back what was before."""
    older = database.with_name("older.db")
    older.rename(database)


@pytest.mark.parametrize(
    ("harm", "what"), [(delete, "deleted or moved away"), (put_back, "replaced by another file")]
)
def test_a_search_that_loses_its_file_keeps_all_rows_until_the_same_command_continues(
    tmp_path: Path, harm: Callable[[Path], None], what: str
) -> None:
    database = tmp_path / "study.db"
    search = Search(tmp_path, f"sqlite:///{database}", budget=500, options=RUNGS)
    search.start()
    try:
        wait_for_rows(search, 3)
        with (
            closing(sqlite3.connect(database)) as source,
            closing(sqlite3.connect(tmp_path / "older.db")) as older,
        ):
            source.backup(older)
            (copied,) = older.execute("SELECT count(*) FROM nas_evaluations").fetchone()
        wait_for_rows(search, copied + 2)
        before = invariants.rows(search.url)
        harm(database)
        assert search.wait(120) == 2, search.said
    finally:
        if search.running:
            search.kill()
    (last,) = [line for line in search.said.splitlines() if line.startswith("error: ")]
    assert f"study.db was {what} while it was in use; " in last
    assert "until the same command continues" in last
    assert "next:" not in search.said
    assert "Traceback" not in search.said
    if harm is delete:
        assert not database.exists(), "nobody has made an empty one"
    else:
        with closing(sqlite3.connect(database)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (count,) = opened.execute("SELECT count(*) FROM nas_evaluations").fetchone()
            assert count == copied < len(before), "the older copy is as it was"
    kept = [json.loads(path.read_text()) for path in tmp_path.glob("convnas-unrecorded-*/*.json")]
    assert len(kept) >= len(before)
    spent = sum(entry["epochs"] - entry["start"] for entry in kept)
    search.budget = -(-spent // 3) + 3
    search.start()
    assert search.wait() == 0, search.said
    assert "results that the database had not taken" in search.said
    invariants.check_kept(before, invariants.rows(search.url))
    invariants.check(search.url, search.folder, search.budget)


@pytest.mark.timeout(2400)
def test_results_that_no_folder_takes_are_printed_and_can_be_given_back(tmp_path: Path) -> None:
    database = tmp_path / "study.db"
    with small_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)
        search = Search(
            tmp_path,
            f"sqlite:///{database}",
            budget=500,
            where=disk,
            environment={"HOME": "/proc/nowhere"},
        )
        search.start()
        try:
            wait_for_rows(search, 4, 600)
            before = invariants.rows(search.url)
            delete(database)
            assert search.wait(900) == 2, search.said
        finally:
            if search.running:
                search.kill()
    said = search.said.splitlines()
    printed = [line for line in said if line.startswith('{"')]
    (last,) = [line for line in said if line.startswith("error: ")]
    assert "was deleted or moved away while it was in use; no file can be written (" in last
    assert f"above are {len(printed)} results that nothing has kept" in last
    assert len(printed) >= len(before)
    box = tmp_path / re.findall(r"convnas-unrecorded-\w+", last)[-1]
    box.mkdir()
    for number, line in enumerate(printed):
        (box / f"{number}.json").write_text(line)
    search = Search(tmp_path, search.url, budget=len(printed) + 1)
    search.start()
    assert search.wait(900) == 0, search.said
    assert f"recovered {len(printed)} results" in " ".join(search.said.split())
    invariants.check_kept(before, invariants.rows(search.url))
