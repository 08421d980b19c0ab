"""What a person reads while a search runs."""

from searchers.campaign import Snapshot
from searchers.progress import line


def test_progress_is_one_line_that_says_all() -> None:
    snapshot = Snapshot(12, 1, 2, 48, 0.9123, 0.456, 75.0)
    said = line(snapshot)
    assert (
        said == "12/48 done, 2 running, 1 failed · best 91.23% · hypervolume 0.456 · 1:15 min left"
    )
    assert line(snapshot, bar=True).startswith("━━━━━━──────────────────")
    start = Snapshot(0, 0, 1, 48, None, 0.0, None)
    assert line(start) == "0/48 done, 1 running · best – · hypervolume 0.000 · – left"
