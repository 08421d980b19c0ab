"""Which network a user means."""

import pytest

from studies.choose import NoSuchNetworkError, Rule, choose
from studies.records import Evaluation
from tests.examples import evaluation, study

OWNER = study()
OWNER.id = 1
EVALUATIONS = [
    evaluation(OWNER, 0, 0.60, macs=1000),
    evaluation(OWNER, 1, 0.90, macs=2000),
    evaluation(OWNER, 2, 0.92, macs=50_000),
    evaluation(OWNER, 3, 0.50, macs=3000),
    evaluation(OWNER, 4, None, macs=10),
]


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
    ],
    ids=str,
)
def test_rules_choose(rule: Rule, number: int) -> None:
    assert choose(EVALUATIONS, rule).number == number


@pytest.mark.parametrize(
    ("evaluations", "rule", "reason"),
    [
        (EVALUATIONS, Rule(max_macs=999), "smallest network of the front has 1000 MACs"),
        (EVALUATIONS, Rule(min_accuracy=0.99), r"reaches 99\.00%; the best of the front has 92"),
        (EVALUATIONS, Rule(max_macs=1500, min_accuracy=0.9), "within these limits"),
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
        choose(evaluations, rule)
