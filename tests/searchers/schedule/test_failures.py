"""Which failures end a search, beyond what the tests of the driver tell."""

from searchers.schedule.failures import Failures


def test_a_machine_that_takes_many_trials_with_it_is_one_failure() -> None:
    failures = Failures()
    at_the_start = failures.count
    for _ in range(40):
        assert failures.add("WorkerDied: node lost", at_the_start) is None
    assert failures.count == 1


def test_workers_that_die_one_after_the_other_end_the_search() -> None:
    failures = Failures()
    verdicts = [failures.add("WorkerDied: out of memory", failures.count) for _ in range(5)]
    assert verdicts[:4] == [None] * 4
    assert verdicts[4] is not None
    assert "out of memory" in verdicts[4]


def test_a_trial_that_finishes_between_them_clears_the_count() -> None:
    failures = Failures()
    for _ in range(30):
        assert failures.add("RuntimeError: no") is None
        failures.clear()
