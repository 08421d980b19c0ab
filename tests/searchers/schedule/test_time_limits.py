"""How long a trial may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchers.schedule.time_limits import TimeLimit
from studies.records.tables import Study
from tests.examples import evaluation

OWNER = Study(id=1)


def test_what_the_user_says_holds() -> None:
    limit = TimeLimit(5.0, images=1000)
    limit.learn([evaluation(OWNER, 1, 0.5, seconds=1000.0)])
    assert limit.of(10**9, 6) == 5.0


def test_before_any_trial_has_finished_it_is_generous_and_grows_with_the_work() -> None:
    limit = TimeLimit(None, images=50_000)
    assert limit.of(40_000_000, 6) == pytest.approx(3600 + 3 * 40e6 * 300_000 / 1e9)


def test_then_it_is_ten_times_what_others_took_and_at_least_a_minute() -> None:
    limit = TimeLimit(None, images=1000)
    limit.learn([evaluation(OWNER, 1, 0.5, seconds=0.1, macs=1000)])
    assert limit.of(1000, 6) == 60
    limit.learn([evaluation(OWNER, 2, 0.5, seconds=30.0, macs=2000)])
    assert limit.of(1000, 6) == 300, "smaller networks may be slow"
    assert limit.of(20_000, 6) == 3000, "larger ones may be slower"


def test_failed_trials_teach_nothing() -> None:
    limit = TimeLimit(None, images=0)
    limit.learn([evaluation(OWNER, 1, None, seconds=0.1)])
    assert limit.of(1, 6) == 3600


trials = st.lists(st.tuples(st.floats(0.01, 1e4), st.integers(1, 10**9)), min_size=1, max_size=8)


@given(trials, st.integers(1, 10**9))
def test_it_is_the_same_as_if_it_remembered_all(found: list[tuple[float, int]], macs: int) -> None:
    limit = TimeLimit(None, images=1)
    for seconds, size in found:
        limit.learn([evaluation(OWNER, 1, 0.5, seconds=seconds, macs=size)])
    slowest = max(seconds * max(1.0, macs / size) for seconds, size in found)
    assert limit.of(macs, 6) == pytest.approx(max(60.0, 10 * slowest))


def test_it_is_as_long_as_the_training() -> None:
    limit = TimeLimit(None, images=1000)
    limit.learn([evaluation(OWNER, 1, 0.5, seconds=60.0, macs=1000, epochs=6, start=2)])
    assert limit.of(1000, 9) == pytest.approx(10 * 9 * 60 / 4), "two of its epochs were spared"
