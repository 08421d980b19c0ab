"""Numbers as people read and write them."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from nas_space.cli import duration, expanded, quantity, short


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.2, "59 s"), (365, "6:05 min"), (9000, "2:30 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5M", 5_000_000),
        ("1.2G", 1_200_000_000),
        ("500k", 500_000),
        ("80000", 80_000),
        ("2e6", 2_000_000),
    ],
)
def test_quantities_are_read_with_their_units(text: str, number: int) -> None:
    assert quantity(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "5T", "M", "1e", "0.1", "inf", "1e99", "1e999", "9" * 400, "٣"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no positive number"):
        quantity(text)


@pytest.mark.parametrize(
    ("number", "said"),
    [(12, "12"), (999, "999"), (831_000, "831k"), (12_345_678, "12.3M"), (3e9, "3G")],
)
def test_counts_are_written_short(number: float, said: str) -> None:
    assert short(number) == said


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
@pytest.mark.parametrize(
    ("output", "code", "error"),
    [
        (">/dev/full", 2, "error: No space left on device\n"),
        (">&-", 0, ""),
        ("| head -c 1", 0, ""),
    ],
)
def test_output_that_takes_nothing_is_no_traceback(output: str, code: int, error: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m nas_space.spaces {output}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)  # noqa: S607
    assert (ended.returncode, ended.stderr) == (code, error)


def test_a_path_may_begin_with_the_users_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/best") == Path("/home/me/best")
    assert expanded("best~") == Path("best~")
    assert expanded("~no-such-user/best") == Path("~no-such-user/best")
