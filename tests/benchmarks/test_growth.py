"""The benchmark of growth fills a study, opens it anew, and goes on with it."""

from pathlib import Path

from benchmarks.growth import grow
from studies.records.store import Store


def test_a_study_is_opened_again_and_what_surrounds_a_trial_is_timed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/growth.db"
    found = grow(url, "random", 3, mirrored=False)
    assert found["sum"] == found["propose"] + found["record"] + found["progress"]
    assert min(found["open"], found["propose"], found["record"]) > 0
    store = Store(url)
    assert len(store.evaluations(store.study("growth"))) > 3
    store.close()
