"""Studies whose networks a user's own function judged: its number and name stand everywhere."""

import math
from pathlib import Path

import optuna
import pytest

from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers.bayes import BayesSampler
from searchers.schedule.counts import SearchCounts
from searchers.schedule.proposals import Proposer
from searchers.terminal.progress import line
from studies import show
from studies.analysis.facts import Facts
from studies.export import command as export
from studies.export.choose import NoSuchNetworkError, Rule, choose
from studies.model.accuracy import expected
from studies.objective import MACS, metric_of
from studies.pareto import command as pareto
from studies.pareto.by_hand import Gain
from studies.records.optuna_mirror import OptunaMirror
from studies.records.store import Store
from studies.records.tables import Study
from studies.records.validation import InvalidRowError
from studies.report.page import page
from tests.examples import TASK, evaluation, study
from trainers.metrics import ACCURACY, Metric, named

SCORES = [-310.5, -42.25, -120.0, -1000.0, -55.0, -61.0, -88.0, -93.0, -70.0, -140.0]
LOSS = Metric("minus loss")


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Store, Study]:
    store = Store(f"sqlite:///{tmp_path}/studies.db", create=True)
    recipe = {"name": "mine:minus_loss", "epochs": 6, "evaluate": "mine:minus_loss"}
    owner = store.enter(study("judged", recipe=recipe))
    for number, score in enumerate(SCORES):
        row = evaluation(owner, number, score, recipe="mine:minus_loss")
        store.record(row, lambda: b"")
    return store, owner


def test_a_number_is_written_as_it_is_and_an_accuracy_in_per_cent() -> None:
    assert (LOSS.write(-42.25), LOSS.difference(3.0), LOSS.write(None)) == ("-42.25", "+3", "–")
    assert (ACCURACY.write(0.5), ACCURACY.difference(0.031, 1)) == ("50.00%", "+3.1%")
    assert LOSS.holds(-1e9)
    assert not LOSS.holds(float("nan"))
    assert not ACCURACY.holds(1.5)
    assert not ACCURACY.holds(True)
    assert named("accuracy") is ACCURACY
    assert named("minus loss") == LOSS


def test_all_commands_show_it_under_its_name(
    judged: tuple[Store, Study],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, owner = judged
    monkeypatch.setattr("sys.argv", ["pareto", "--storage", store.shown_url])
    assert pareto.main() == 0
    printed = capsys.readouterr().out
    assert "validation minus loss against MACs" in printed
    assert "-42.25" in printed
    assert "%" not in printed
    monkeypatch.setattr("sys.argv", ["show", "--storage", store.shown_url, "1"])
    assert show.main() == 0
    assert "-42.25 minus loss on validation" in capsys.readouterr().out
    drawn = page(Facts.of(store, owner.name))
    assert "it means minus loss, the number of mine:minus_loss" in drawn
    assert "validation minus loss" in drawn
    assert "-42.25" in drawn
    assert "-4225" not in drawn


def test_networks_are_chosen_by_it(judged: tuple[Store, Study]) -> None:
    store, owner = judged
    rows = store.evaluations(owner)
    means = expected(owner, rows)
    assert means.keys() == set(range(len(SCORES)))
    assert min(SCORES) < min(means.values()) < max(means.values()) < 0
    best = choose(owner, rows, Rule(max_macs=10**9), lambda _: 0.0)
    assert means[best.number] == max(means.values())
    with pytest.raises(NoSuchNetworkError, match=r"reaches -1; the best of the front has -\d"):
        choose(owner, rows, Rule(min_accuracy=-1.0), lambda _: 0.0)
    assert export.read(["--min-accuracy=-90"]).min_accuracy == -90
    assert store.with_weights(owner) >= {row.id for row in store.front(owner)}


def test_a_gain_is_in_its_own_unit(judged: tuple[Store, Study]) -> None:
    store, owner = judged
    hand, found = store.evaluations(owner)[2], store.evaluations(owner)[1]
    said = Gain(found, hand, images=100, metric=LOSS).told(MACS)
    assert said.endswith("-120; gain +77.8")
    assert "points" not in said


def test_a_search_shows_it_and_its_hypervolume_never_falls_below_0(
    judged: tuple[Store, Study],
) -> None:
    store, owner = judged
    counts = SearchCounts(20, 6, (1e3, 1e9), metric_of(owner))
    for row in store.evaluations(owner):
        counts.count([row])
        assert counts.snapshot(0).hypervolume >= 0
    assert "best -42.25 · hypervolume" in line(counts.snapshot(0))


def searched(shift: float) -> list[str]:
    """The networks that a search proposes where each is worth this much more."""
    problem = Problem(get("mixed"), TASK, Limits())
    source = Proposer(problem, BayesSampler(problem, 0), 0)
    found = []
    for _ in range(30):
        proposal = source.propose()
        assert proposal is not None
        found.append(proposal.architecture.key)
        # The dearer the better, and the first networks are worth nothing.
        worth = math.floor(16 * max(0.0, math.log10(proposal.cost.macs) - 5)) / 64
        source.tell(proposal, worth + shift)
    return found


def test_a_search_for_numbers_below_0_is_the_search_for_the_same_numbers_above() -> None:
    assert searched(-2.0) == searched(0.0)


def test_optunas_view_has_its_name(judged: tuple[Store, Study], tmp_path: Path) -> None:
    store, owner = judged
    url = f"sqlite:///{tmp_path}/studies.db"
    mirror = OptunaMirror(url, owner, get("mixed").catalogue())
    mirror.catch_up(store.evaluations(owner))
    mirror.close()
    shown = optuna.load_study(study_name=owner.name, storage=url)
    assert shown.metric_names == ["minus loss", "macs"]
    assert sorted(trial.values[0] for trial in shown.trials) == sorted(SCORES)


def test_a_row_of_an_accuracy_outside_0_to_1_is_refused(judged: tuple[Store, Study]) -> None:
    store, _ = judged
    plain = store.enter(study("plain"))
    with pytest.raises(InvalidRowError, match=r"1\.5 as its val_accuracy"):
        store.record(evaluation(plain, 0, 1.5), lambda: b"")
