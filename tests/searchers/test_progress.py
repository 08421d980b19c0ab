"""What a person reads while a search runs."""

from searchers.progress import line
from searchers.standing import Snapshot


def test_progress_is_one_line_that_says_all() -> None:
    snapshot = Snapshot(12, 0, 1, 2, 12.0, 48, 0.9123, 0.456, 75.0)
    said = line(snapshot)
    assert (
        said == "12/48 done, 2 running, 1 failed · best 91.23% · hypervolume 0.456 · 1:15 min left"
    )
    assert line(snapshot, bar=True).startswith("━━━━━━──────────────────")
    start = Snapshot(0, 0, 0, 1, 0.0, 48, None, 0.0, None)
    assert line(start) == "0/48 done, 1 running · best – · hypervolume 0.000 · – left"


def test_with_rungs_it_says_what_the_epochs_went_into() -> None:
    said = line(Snapshot(3, 20, 0, 2, 12.34, 48, 0.9, 0.5, None))
    assert said.startswith("12.3/48 trainings' epochs spent: 3 complete, 20 partial, 2 running")
