"""What a trial gets of a machine, and what is said where it is too small."""

import pytest

from searchers.cluster import ClusterError, Resources, cpus_for, plan
from searchers.settings import Wishes

LAPTOP = {"CPU": 2.0}
SERVER = {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("wishes", "have", "planned"),
    [
        (Wishes(), LAPTOP, Resources(2, 1.0, 0.0)),
        (Wishes(concurrency=1), LAPTOP, Resources(1, 1.0, 0.0)),
        (Wishes(concurrency=4), LAPTOP, Resources(4, 0.5, 0.0)),
        (Wishes(cpus=2.0), LAPTOP, Resources(1, 2.0, 0.0)),
        (Wishes(cpus=0.5), LAPTOP, Resources(4, 0.5, 0.0)),
        (Wishes(cpus=1.0, concurrency=9), LAPTOP, Resources(2, 1.0, 0.0)),
        (Wishes(), SERVER, Resources(8, 1.0, 0.25)),
        (Wishes(gpus=1.0), SERVER, Resources(2, 1.0, 1.0)),
        (Wishes(gpus=0.0), SERVER, Resources(16, 1.0, 0.0)),
        (Wishes(cpus=0.0, gpus=0.1), SERVER, Resources(20, 0.0, 0.1)),
        (Wishes(cpus=0.0, concurrency=4), LAPTOP, Resources(4, 0.0, 0.0)),
    ],
    ids=str,
)
def test_what_is_left_open_is_filled_in(
    wishes: Wishes, have: dict[str, float], planned: Resources
) -> None:
    assert plan(wishes, have) == planned


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        (Wishes(cpus=3.0), "a trial wants 3 CPUs but there are 2; lower --cpus-per-trial"),
        (Wishes(gpus=0.5), "a trial wants 0.5 GPUs but there are 0; lower --gpus-per-trial"),
    ],
)
def test_a_trial_that_fits_nowhere_is_refused(wishes: Wishes, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        plan(wishes, LAPTOP)


@pytest.mark.parametrize(
    "wishes",
    [Wishes(cpus=0.00001), Wishes(gpus=0.0001), Wishes(gpus=1.5), Wishes(concurrency=999_999_999)],
    ids=str,
)
def test_shares_that_ray_cannot_give_are_refused(wishes: Wishes) -> None:
    with pytest.raises(ClusterError, match=r"shares are at least 0\.001"):
        plan(wishes, SERVER)


@pytest.mark.parametrize(
    ("wishes", "cores", "gpus", "told"),
    [
        (Wishes(), 16, 0, 16),
        (Wishes(), 64, 2, 8),
        (Wishes(concurrency=3), 16, 0, 3),
        (Wishes(cpus=0.5), 2, 0, 2),
        (Wishes(cpus=0.0, concurrency=4), 16, 1, 4),
        (Wishes(cpus=0.5, concurrency=2), 2, 0, 2),
        (Wishes(gpus=1.0), 16, 0, 16),
    ],
    ids=str,
)
def test_ray_prepares_no_more_processes_than_trials_need(
    wishes: Wishes, cores: int, gpus: int, told: int
) -> None:
    assert cpus_for(wishes, cores, gpus) == told
