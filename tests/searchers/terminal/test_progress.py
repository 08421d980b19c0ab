"""What a person reads while a search runs."""

import io
import sys

import pytest
from rich.console import Console

from searchers.schedule.counts import SearchCounts, Snapshot
from searchers.terminal import panel
from searchers.terminal.progress import SearchProgress, line
from studies.objective import MACS
from tests.examples import evaluation, study


def test_progress_is_one_line_that_says_all() -> None:
    snapshot = Snapshot(12, 0, 1, 2, 12.0, 48, 0.9123, 0.456, 75.0)
    said = line(snapshot)
    assert (
        said == "12/48 done, 2 running, 1 failed · best 91.23% · hypervolume 0.456 · 1:15 min left"
    )
    start = Snapshot(0, 0, 0, 1, 0.0, 48, None, 0.0, None)
    assert line(start) == "0/48 done, 1 running · best – · hypervolume 0.000 · – left"


def test_with_rungs_it_says_what_the_epochs_went_into() -> None:
    said = line(Snapshot(3, 20, 0, 2, 12.34, 48, 0.9, 0.5, None))
    assert said.startswith("12.3/48 trainings' epochs spent: 3 complete, 20 partial, 2 running")


def counts(count: int, seen: int = 0) -> SearchCounts:
    """A search of so many trainings, the first of which an earlier run has made."""
    owner = study()
    found = SearchCounts(100, 6, (1e4, 1e8))
    entries = [
        evaluation(owner, at, None if at % 7 == 6 else 0.5 + at / 1000, epochs=6 if at % 2 else 2)
        for at in range(count)
    ]
    found.count(entries[:seen])
    found.begin()
    for entry in entries[seen:]:
        found.count([entry])
    return found


def on_a_terminal(snapshot: Snapshot, width: int) -> list[str]:
    console = Console(width=width, force_terminal=False, highlight=False, file=io.StringIO())
    with console.capture() as captured:
        console.print(panel.drawn(snapshot, MACS, line(snapshot), 65.0, width))
    return captured.get().splitlines()


def test_the_panel_shows_how_far_it_is_the_front_and_the_latest() -> None:
    snapshot = counts(60).snapshot(2)
    lines = on_a_terminal(snapshot, 140)
    assert lines[0].startswith("━━━━━━━━──────────────── ")
    assert "1:05 min so far  ▁" in lines[0]
    assert lines[1] == line(snapshot)
    assert lines[2].split()[0].rstrip(",") == "front"
    best = snapshot.front[-1]
    assert any(row.split()[:2] == [str(best.number), f"{best.val_accuracy:.2%}"] for row in lines)
    assert [row.split()[0] for row in lines[-4:]] == ["56", "57", "58", "59"]
    assert "6 epochs, 1.5 s" in lines[-1]


def test_a_failure_says_why() -> None:
    lines = on_a_terminal(counts(7).snapshot(0), 120)
    assert lines[-1].split(maxsplit=3)[::3] == ["6", "RuntimeError: out of memory"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_a_terminal_of_any_usual_width(width: int) -> None:
    lines = on_a_terminal(counts(400).snapshot(2), width)
    assert len(lines) <= 16
    assert all(len(row) <= width for row in lines)


def test_before_the_first_result_it_is_two_lines() -> None:
    start = SearchCounts(48, 6, (1e4, 1e8))
    start.begin()
    assert len(on_a_terminal(start.snapshot(1), 100)) == 2


def test_what_earlier_runs_trained_is_on_the_front_and_is_not_the_latest() -> None:
    snapshot = counts(60, seen=58).snapshot(1)
    assert [entry.number for entry in snapshot.latest] == [58, 59]
    assert len(snapshot.course) == 3
    assert snapshot.front


def test_a_long_course_keeps_its_ends() -> None:
    found = counts(300)
    snapshot = found.snapshot(0)
    assert len(snapshot.course) == 24
    assert (snapshot.course[0], snapshot.course[-1]) == (0.0, snapshot.hypervolume)
    assert list(snapshot.course) == sorted(snapshot.course)


def test_a_sparkline_goes_from_the_least_to_the_greatest() -> None:
    assert panel.sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert panel.sparkline([0.3, 0.3]) == "▁▁"
    assert panel.sparkline([]) == ""


def test_elsewhere_than_on_a_terminal_it_is_plain_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    snapshot = counts(20).snapshot(2)
    with SearchProgress(MACS) as progress:
        progress.show(snapshot)
    assert capsys.readouterr().out == f"{line(snapshot)}\n"


def test_a_terminal_is_left_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    snapshot = counts(20).snapshot(2)
    with SearchProgress(MACS) as progress:
        progress.show(snapshot)
        assert "front" in screen.getvalue()
    assert screen.getvalue().endswith(f"{line(snapshot)}\n")
    assert "\x1b[?25h" in screen.getvalue(), "the cursor is shown again"
