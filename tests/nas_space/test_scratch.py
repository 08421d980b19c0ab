"""Folders for a while, and those that killed processes left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas_space.scratch import scratch

HOLD = """
import sys, time
from pathlib import Path
from nas_space.scratch import scratch

with scratch("convnas-", Path(sys.argv[1])) as folder:
    print(folder.name, flush=True)
    time.sleep(600)
"""


def holding(place: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process with a folder there, and the folder."""
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, place],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, place / process.stdout.readline().strip()


def end(process: "subprocess.Popen[str]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_it_is_there_and_then_is_not(tmp_path: Path) -> None:
    with scratch("convnas-", tmp_path) as folder:
        (folder / "made").mkdir()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_deletes_what_a_killed_process_left_but_nothing_of_a_living_one(
    tmp_path: Path,
) -> None:
    dead, left = holding(tmp_path)
    end(dead)
    assert left.is_dir()
    alive, used = holding(tmp_path)
    try:
        assert not left.exists()
        with scratch("convnas-", tmp_path) as outer, scratch("convnas-", tmp_path) as inner:
            assert {used, outer, inner} == set(tmp_path.iterdir())
    finally:
        end(alive)


def test_folders_and_links_of_others_are_left_alone(tmp_path: Path) -> None:
    dead, left = holding(tmp_path)
    end(dead)
    elsewhere = left.rename(tmp_path / "elsewhere")
    (tmp_path / "convnas-link").symlink_to(elsewhere)
    (tmp_path / "convnas-mine").mkdir()
    (tmp_path / "convnas-file").touch()
    with scratch("convnas-", tmp_path):
        pass
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"elsewhere", "convnas-link", "convnas-mine", "convnas-file"}


def test_a_place_that_takes_no_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"), scratch("convnas-", tmp_path / "absent"):
        pass
