"""Which process a driver is, and whether it lives."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from studies.records.processes import Process

WAIT = "import time; time.sleep(60)"
OWN = (
    "import dataclasses, json; from studies.records.processes import Process;"
    "print(json.dumps(dataclasses.asdict(Process.own())), flush=True);"
)


def test_the_process_that_asks_lives() -> None:
    assert Process.own().number == os.getpid()
    assert Process.own().lives() is True


def test_one_that_was_killed_does_not_even_if_nobody_has_asked_for_its_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", OWN + WAIT], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    process = Process(**json.loads(child.stdout.readline()))
    assert process.lives() is True
    child.kill()
    latest = time.monotonic() + 30
    while process.lives() and time.monotonic() < latest:
        time.sleep(0.01)
    assert process.lives() is False, "it is a zombie now, as nobody has waited for it"
    child.communicate()
    assert process.lives() is False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to tell beginnings")
def test_another_process_of_the_same_number_is_not_taken_for_it() -> None:
    assert replace(Process.own(), began="1").lives() is False


def test_where_beginnings_are_not_told_the_number_decides() -> None:
    assert replace(Process.own(), began="").lives() is True
    assert replace(Process.own(), began="", number=2**22 + 5).lives() is False


def test_nothing_is_said_of_another_machine() -> None:
    assert replace(Process.own(), machine="elsewhere").lives() is None
