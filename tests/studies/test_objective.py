"""Objectives of plugins: their values are costs like any other."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers.bayes import BayesSampler
from searchers.schedule.proposals import Proposer
from studies import show
from studies.objective import MACS, OBJECTIVES, Objective, Price, UnknownObjectiveError
from studies.pareto import command as pareto
from studies.records.costs import columns
from studies.records.store import Store
from tests.examples import TASK, evaluation, study


def widest(architecture: Architecture, task: Task) -> float:  # noqa: ARG001
    return max(layer.c_out for layer in architecture.layers())


WIDEST = Objective("widest", "widest layer", "channels", "{:.0f}".format, price=widest)


@pytest.fixture(autouse=True, scope="module")
def _alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OBJECTIVES, "_entries", dict(OBJECTIVES._known()))
        patch.setattr(OBJECTIVES, "_added", [])
        OBJECTIVES.add("widest", WIDEST)
        yield


def test_it_is_searched_and_limited() -> None:
    limits = Limits().at_most(WIDEST, 48).at_most(MACS, 10**6)
    problem = Problem(get("mixed"), TASK, limits, objective=WIDEST)
    low, high = problem.bounds
    assert 1 <= low < 48 < high
    source = Proposer(problem, BayesSampler(problem, 0), 0)
    for _ in range(25):
        proposal = source.propose()
        assert proposal is not None
        cost = proposal.cost
        assert cost.more == {"widest": widest(proposal.architecture, TASK)}
        assert cost.more["widest"] <= 48
        assert cost.macs <= 10**6
        source.tell(proposal, 0.5)


def test_of_two_limits_the_lower_one_counts() -> None:
    assert Limits().at_most(WIDEST, 48).at_most(WIDEST, 64).of(WIDEST) == 48
    assert Limits(macs=5).at_most(MACS, 4).at_most(MACS, 9) == Limits(macs=4)
    assert Limits().of(WIDEST) is None


@pytest.mark.parametrize(
    ("objective", "text", "value"),
    [
        (WIDEST, "48", 48.0),
        (WIDEST, "0.25", 0.25),
        (WIDEST, "2k", 2000),
        (MACS, "1.5M", 1_500_000),
        (OBJECTIVES.get("latency"), "5ms", 0.005),
    ],
)
def test_values_are_typed_in_its_unit(objective: Objective, text: str, value: float) -> None:
    assert objective.read(text) == value


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_value_that_is_no_cost_is_refused(value: float) -> None:
    bad = Objective("bad", "bad", "bad", str, price=lambda *_: value)
    with pytest.raises(UnknownObjectiveError, match=f"bad gives {value} for .* above 0"):
        bad.priced(get("mixed").reference(), TASK)


def test_a_function_that_fails_is_one_line() -> None:
    bad = Objective("bad", "bad", "bad", str, price=lambda *_: 1 // 0)
    with pytest.raises(UnknownObjectiveError, match=r"bad fails for .*ZeroDivisionError") as said:
        bad.priced(get("mixed").reference(), TASK)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "price", "said"),
    [
        ("energy", None, "the objective energy has no price"),
        ("x" * 33, widest, "must have a name of 1 to 32 letters"),
        ("a=b", widest, "must have a name of 1 to 32 letters"),
    ],
)
def test_one_that_cannot_be_recorded_is_refused(name: str, price: Price | None, said: str) -> None:
    with pytest.raises(UnknownObjectiveError, match=said):
        Objective(name, name, name, str, price=price)


def test_its_values_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    store = Store(url, create=True)
    judged = study().recipe | {"evaluate": "mine:worst_class"}
    owner = store.enter(study(objective="widest", recipe=judged))
    network = get("mixed").reference()
    problem = Problem(get("mixed"), TASK, Limits(), objective=WIDEST)
    cost = problem.cost(network)
    row = evaluation(owner, 1, 0.5, architecture=network.to_json())
    for name, value in columns(cost, WIDEST).items():
        setattr(row, name, value)
    store.record(row)
    (kept,) = store.evaluations(owner)
    assert kept.costs == {"widest": widest(network, TASK)}
    assert kept.cost == widest(network, TASK)
    problem.check([kept])
    kept.cost += 1
    with pytest.raises(UnknownObjectiveError, match=r"gives .* for trial 0, and gave .*: bring"):
        problem.check([kept])
    replace(problem, objective=MACS).check([kept])
    store.close()
    monkeypatch.setattr("sys.argv", ["convnas-pareto", "--storage", url, "--csv"])
    assert pareto.main() == 0
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert json.loads(line["costs"]) == cost.more
    monkeypatch.setattr("sys.argv", ["convnas-show", "--storage", url, "0", "--json"])
    assert show.main() == 0
    assert json.loads(capsys.readouterr().out)["costs"] == cost.more
    monkeypatch.setattr("sys.argv", ["convnas-show", "--storage", url, "0"])
    assert show.main() == 0
    assert "0.5 worst class on validation after 6 epochs\n" in capsys.readouterr().out
