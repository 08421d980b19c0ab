"""What a trial gets of several machines."""

import pytest

from searchers.ray.resources import ClusterError, Resources, resources_for
from searchers.settings import ClusterOptions

SMALL = {"CPU": 1.0}
ODD = {"CPU": 3.0}
FAST = {"CPU": 2.0, "GPU": 1.0}


@pytest.mark.parametrize(
    ("options", "machines", "planned"),
    [
        (ClusterOptions(), [SMALL] * 3, Resources(3, 1.0, 0.0)),
        (ClusterOptions(cpus=2.0), [ODD] * 2, Resources(2, 2.0, 0.0)),
        (ClusterOptions(cpus=2.0), [SMALL, ODD], Resources(1, 2.0, 0.0)),
        (ClusterOptions(concurrency=4), [SMALL] * 3, Resources(4, 0.5, 0.0)),
        (ClusterOptions(concurrency=5), [SMALL, ODD], Resources(5, 0.75, 0.0)),
        (ClusterOptions(), [SMALL, FAST], Resources(2, 1.0, 0.25)),
        (ClusterOptions(cpus=0.0, gpus=0.5), [FAST, FAST], Resources(4, 0.0, 0.5)),
        (ClusterOptions(cpus=0.0, gpus=0.0, concurrency=7), [SMALL], Resources(7, 0.0, 0.0)),
        (ClusterOptions(cpus=0.0, gpus=0.0), [SMALL], Resources(1, 0.0, 0.0)),
    ],
    ids=str,
)
def test_trials_are_counted_machine_by_machine(
    options: ClusterOptions, machines: list[dict[str, float]], planned: Resources
) -> None:
    assert resources_for(options, *machines) == planned


@pytest.mark.parametrize(
    ("options", "machines", "reason"),
    [
        (
            ClusterOptions(cpus=2.0),
            [SMALL] * 4,
            (
                "a trial wants 2 CPUs but no machine has more than 1, and a trial is never spread "
                "over two; lower --cpus-per-trial"
            ),
        ),
        (
            ClusterOptions(gpus=2.0),
            [FAST] * 2,
            (
                "a trial wants 2 GPUs but no machine has more than 1, and a trial is never spread "
                "over two; lower --gpus-per-trial"
            ),
        ),
        (
            ClusterOptions(cpus=3.0, gpus=1.0),
            [ODD, FAST],
            (
                "a trial wants 3 CPUs and 1 GPUs but no machine has both; lower "
                "--cpus-per-trial or --gpus-per-trial"
            ),
        ),
        (ClusterOptions(), [], "a trial wants 1 CPUs but there are 0; lower --cpus-per-trial"),
    ],
)
def test_a_trial_that_fits_on_no_machine_is_refused_even_if_the_sum_is_enough(
    options: ClusterOptions, machines: list[dict[str, float]], reason: str
) -> None:
    with pytest.raises(ClusterError) as refused:
        resources_for(options, *machines)
    assert str(refused.value) == reason
