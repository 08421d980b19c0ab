"""Which network a user means."""

import pytest

from studies.export.choose import NoSuchNetworkError, Rule, choose
from studies.records.tables import Evaluation
from tests.examples import evaluation, study

OWNER = study()
OWNER.id = 1
EVALUATIONS = [
    evaluation(OWNER, 0, 0.60, macs=1000, params=700),
    evaluation(OWNER, 1, 0.90, macs=2000, params=500),
    evaluation(OWNER, 2, 0.92, macs=50_000, params=900),
    evaluation(OWNER, 3, 0.50, macs=3000),
    evaluation(OWNER, 4, None, macs=10),
]


def latency(member: Evaluation) -> float:
    """More MACs are not always slower."""
    return {0: 0.004, 1: 0.002, 2: 0.003}[member.number]


@pytest.mark.parametrize(
    ("rule", "number"),
    [
        (Rule(max_macs=2500), 1),
        (Rule(max_macs=10**9), 2),
        (Rule(min_accuracy=0.7), 1),
        (Rule(min_accuracy=0.91), 2),
        (Rule(max_macs=60_000, min_accuracy=0.5), 0),
        (Rule(knee=True), 1),
        (Rule(knee=True, max_macs=1500), 0),
        (Rule(trial=3), 3),
        (Rule(max_params=900), 2),
        (Rule(max_params=700), 1),
        (Rule(max_params=500), 1),
        (Rule(max_params=900, max_macs=1000), 0),
        (Rule(max_latency=0.003), 2),
        (Rule(max_latency=0.0029), 1),
        (Rule(max_latency=0.003, min_accuracy=0.5), 1),
        (Rule(max_latency=0.004, max_macs=1000), 0),
    ],
    ids=str,
)
def test_rules_choose(rule: Rule, number: int) -> None:
    assert choose(OWNER, EVALUATIONS, rule, latency).number == number


@pytest.mark.parametrize(
    ("evaluations", "rule", "reason"),
    [
        (EVALUATIONS, Rule(max_macs=999), "smallest network of the front has 1000 MACs"),
        (EVALUATIONS, Rule(min_accuracy=0.99), r"reaches 99\.00%; the best of the front has 92"),
        (EVALUATIONS, Rule(max_macs=1500, min_accuracy=0.9), "within these limits"),
        (EVALUATIONS, Rule(max_params=499), "smallest network of the front has 500 parameters"),
        (
            EVALUATIONS,
            Rule(max_params=600, max_macs=1500),
            "smallest network within these MACs has 700 parameters",
        ),
        (EVALUATIONS, Rule(max_latency=0.001), "at most 1 ms for an image; the fastest takes 2 ms"),
        (EVALUATIONS, Rule(trial=9), "no trial 9; the study has 0 to 4"),
        (EVALUATIONS, Rule(trial=4), "trial 4 failed: RuntimeError: out of memory"),
        ([], Rule(knee=True), "no finished evaluation yet"),
        ([], Rule(trial=0), "no trial 0"),
    ],
)
def test_what_cannot_be_chosen_says_what_there_is(
    evaluations: list[Evaluation], rule: Rule, reason: str
) -> None:
    with pytest.raises(NoSuchNetworkError, match=reason):
        choose(OWNER, evaluations, rule, latency)


def test_only_members_within_the_other_limits_are_timed() -> None:
    timed: list[int] = []

    def watched(member: Evaluation) -> float:
        timed.append(member.number)
        return latency(member)

    choose(OWNER, EVALUATIONS, Rule(max_macs=2500), watched)
    assert timed == []
    choose(OWNER, EVALUATIONS, Rule(max_macs=2500, max_latency=1), watched)
    assert timed == [0, 1]
