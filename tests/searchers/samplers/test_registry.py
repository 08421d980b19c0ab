"""Samplers by the names that users type."""

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.samplers import QMCSampler, RandomSampler

from nas_space.costs.cost import Task
from nas_space.spaces.registry import get
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.samplers.registry import UnknownSamplerError
from searchers.schedule.proposals import Proposer, SamplerFailedError

TASK = Task(channels=1, size=(8, 8), classes=10)
PROBLEM = Problem(get("mixed"), TASK, Limits())

MODULE = """
from optuna.samplers import RandomSampler

class Mine(RandomSampler):
    pass

class Needy(RandomSampler):
    def __init__(self, what):
        super().__init__()

class Broken(RandomSampler):
    def __init__(self):
        raise ValueError("not today\\nnor tomorrow")

class Failing(RandomSampler):
    def sample_relative(self, study, trial, search_space):
        raise NotImplementedError("one objective only\\nsorry")

number = 5
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    write("samplers_of_mine", MODULE)
    return write


def test_a_class_of_optunas_or_of_the_users_own_proposes(
    module: Callable[[str, str], None],
) -> None:
    module("other_samplers", MODULE)
    for name, kind in (
        ("optuna.samplers:RandomSampler", RandomSampler),
        ("optuna.samplers:QMCSampler", QMCSampler),
        ("samplers_of_mine:Mine", RandomSampler),
    ):
        made = samplers.make(name, PROBLEM, 0)
        assert isinstance(made, kind)
        source = Proposer(PROBLEM, made, 0)
        for _ in range(3):
            proposal = source.propose()
            assert proposal is not None
            source.tell(proposal, 0.5)


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing_there:Mine", "nothing_there cannot be imported (ModuleNotFoundError: "),
        ("samplers_of_mine:Yours", "Yours is nothing in samplers_of_mine"),
        ("samplers_of_mine:number", "number is no optuna.samplers.BaseSampler in"),
        ("samplers_of_mine:", " is nothing in samplers_of_mine"),
        (":Mine", "cannot be imported (ValueError: "),
        ("searchers.problem:Problem", "Problem is no optuna.samplers.BaseSampler"),
    ],
)
def test_what_is_no_sampler_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UnknownSamplerError) as refusal:
        samplers.check(name)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_module_that_raises_is_refused(module: Callable[[str, str], None]) -> None:
    module("raises", "1 / 0\n")
    with pytest.raises(UnknownSamplerError, match="ZeroDivisionError: division by zero"):
        samplers.check("raises:Mine")


@pytest.mark.usefixtures("module")
def test_a_sampler_that_cannot_go_on_says_so_in_one_line() -> None:
    failing = samplers.make("samplers_of_mine:Failing", PROBLEM, 0)
    source = Proposer(PROBLEM, failing, 0)
    with pytest.raises(SamplerFailedError, match=r"cannot go on.*one objective only.*--sampler"):
        source.propose()


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("kind", ["Needy", "Broken"])
def test_a_class_that_cannot_be_made_is_refused(kind: str) -> None:
    with pytest.raises(UnknownSamplerError, match="cannot be made without arguments") as refusal:
        samplers.make(f"samplers_of_mine:{kind}", PROBLEM, 0)
    assert "\n" not in str(refusal.value)
