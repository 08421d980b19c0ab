"""The space of a user's function."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_space.bundle import Preprocessing
from nas_space.bundle.source import source
from nas_space.costs.cost import Task
from nas_space.costs.counting import count
from nas_space.spaces import registry
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.building import build
from nas_space.spaces.choices import CHOICES, Choices
from nas_space.spaces.choices.architecture import ChoiceArchitecture
from nas_space.spaces.choices.space import ChoiceSpace
from nas_space.spaces.skeletons import read_architecture
from nas_space.spaces.space import Measure, UnknownSpaceError
from searchers.limits import Limits
from searchers.problem import Problem
from searchers.samplers import registry as samplers
from searchers.schedule.proposals import Proposer

TASK = Task(3, (8, 8), 5)
ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def network(channels: int, classes: int, *, width: int, depth: int, act: str) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), ACTS[act]()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def row(channels: int, classes: int, **widths: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in widths.values():
        layers += [nn.Conv2d(channels, width, 1)]
        channels = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


OPTIONS = {"width": (4, 8, 16), "depth": (1, 2, 3), "act": ("relu", "tanh")}
BY_HAND = {"the usual": {"width": 8, "depth": 2, "act": "relu"}}


@pytest.fixture(autouse=True, scope="module")
def _alone() -> Iterator[None]:
    """What is offered here is offered to no other test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CHOICES, "_entries", {})
        patch.setattr(CHOICES, "_added", [])
        CHOICES.add("usual", Choices(network, OPTIONS, BY_HAND))
        CHOICES.add("large", Choices(row, {f"w{layer}": (2, 3, 4, 5) for layer in range(6)}))
        yield


SPACE = ChoiceSpace("usual")


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_labels_json_and_costs_agree_with_the_module(data: st.DataObject) -> None:
    labels = {p.name: data.draw(st.sampled_from(p.labels)) for p in SPACE.parameters}
    architecture = SPACE.decode(labels)
    assert SPACE.encode(architecture) == labels
    assert read_architecture(architecture.text) == architecture
    built = build(architecture, TASK.channels, TASK.classes, seed=1)
    assert architecture.cost(TASK) == count(built, (3, 8, 8))
    again = build(architecture, TASK.channels, TASK.classes, seed=1)
    for one, other in zip(built.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("measure", ["macs", "params"])
def test_its_ends_are_the_least_and_the_most(measure: Measure) -> None:
    every = [
        SPACE.decode({"width": str(w), "depth": str(d)}) for w in (4, 8, 16) for d in (1, 2, 3)
    ]
    costs = [getattr(one.cost(TASK), measure) for one in every]
    assert getattr(SPACE.smallest(TASK, measure).cost(TASK), measure) == min(costs)
    assert getattr(SPACE.largest(TASK, measure).cost(TASK), measure) == max(costs)
    assert SPACE.size() == 18


def test_the_ends_of_a_large_space_are_found_choice_by_choice() -> None:
    large = ChoiceSpace("large")
    assert large.size() == 4**6
    assert set(large.smallest(TASK).dimensions().values()) == {"2"}
    assert set(large.largest(TASK).dimensions().values()) == {"5"}


def test_networks_by_hand_have_their_names() -> None:
    (usual,) = SPACE.by_hand()
    assert usual.by_hand == "the usual"
    assert SPACE.smallest(TASK).by_hand is None


def test_it_is_looked_at_and_written_out_before_a_search() -> None:
    found = registry.find("usual", TASK)
    assert isinstance(found, ChoiceSpace)
    assert registry.recorded(found.to_json()) == found
    text = source(
        found.largest(TASK), Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3, tuple("abcde"))
    )
    assert "nn.Conv2d(16, 16, kernel_size=(3, 3)" in text
    assert "nas_space" not in text


def test_a_function_that_computes_something_else_has_another_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = registry.find("usual", TASK)
    monkeypatch.setitem(ACTS, "relu", nn.LeakyReLU)
    assert registry.find("usual", TASK) != before


def refuse(name: str, choices: Choices) -> str:
    CHOICES.add(name, choices)
    with pytest.raises(UnknownSpaceError) as refusal:
        registry.find(name, TASK)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


class Deciding(nn.Module):
    """Its way depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def failing(channels: int, classes: int, **_: Any) -> nn.Module:  # noqa: ANN401, ARG001
    raise RuntimeError("no such network")


def giving(what: object) -> Any:  # noqa: ANN401
    return lambda channels, classes, **_: what  # noqa: ARG005


@pytest.mark.parametrize(
    ("name", "choices", "said"),
    [
        ("fails", Choices(failing, {"a": (1, 2)}), "RuntimeError: no such network"),
        ("no-module", Choices(giving(3), {"a": (1, 2)}), "gives a int, not a torch.nn.Module"),
        (
            "no-logits",
            Choices(giving(nn.Conv2d(3, 5, 1)), {"a": (1, 2)}),
            "not logits of 2×5",
        ),
        (
            "decides",
            Choices(giving(nn.Sequential(nn.Conv2d(3, 5, 1), Deciding())), {"a": (1, 2)}),
            "whose way must not depend on what it sees",
        ),
        (
            "alike",
            Choices(network, {"a": (1, "1")}),
            "the argument a must have values, and",
        ),
        (
            "none",
            Choices(network, {"a": ()}),
            "the argument a must have values, and",
        ),
    ],
)
def test_a_function_that_cannot_be_searched_is_refused(
    name: str, choices: Choices, said: str
) -> None:
    assert said in refuse(name, choices)


@pytest.mark.parametrize(
    ("options", "by_hand", "said"),
    [
        ({"width": 4}, {}, "width must have a list of values, not 4"),
        ({"act": "relu"}, {}, "act must have a list of values, not 'relu'"),
        ({"act": (lambda: 1, lambda: 2)}, {}, "act must have values like numbers and texts"),
        ({3: (1, 2)}, {}, "3 is no name of an argument"),
        (["width"], {}, "Choices takes values by argument, and by_hand by name"),
        (OPTIONS, [{"width": 8}], "Choices takes values by argument, and by_hand by name"),
        (OPTIONS, {"half": {"width": 8}}, "by_hand 'half': the choices are act, depth, width, not"),
        (OPTIONS, {"odd": BY_HAND["the usual"] | {"width": 5}}, "by_hand 'odd': width is one of"),
    ],
)
def test_what_are_no_choices_is_refused_at_once(options: Any, by_hand: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(UnknownSpaceError) as refusal:
        Choices(network, options, by_hand)
    assert said in str(refusal.value)


@pytest.mark.parametrize("name", ["mixed", "a:b", "x" * 65, "two words"])
def test_its_name_is_its_own_and_can_be_typed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHOICES, "_entries", dict(CHOICES._known()))
    CHOICES.add(name, Choices(network, OPTIONS))
    for ask in (
        registry.check,
        lambda name: registry.find(name, TASK),
        lambda _: registry.spaces(),
    ):
        with pytest.raises(UnknownSpaceError, match="must have another name"):
            ask(name)


def test_a_network_that_fails_later_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHOICES, "_entries", dict(CHOICES._known()))
    CHOICES.add("shrinks", Choices(nn.Conv2d, {"kernel_size": (3, 30)}))
    ChoiceSpace("shrinks").decode({"kernel_size": "3"}).cost(TASK)
    with pytest.raises(InvalidArchitectureError) as refusal:
        ChoiceSpace("shrinks").decode({"kernel_size": "30"}).cost(TASK)
    assert str(refusal.value).startswith(
        "shrinks: kernel_size=30 fails for an image of 3×8×8: RuntimeError"
    )


def test_a_space_of_one_network_has_no_second_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CHOICES, "_entries", dict(CHOICES._known()))
    CHOICES.add("one", Choices(nn.Conv2d, {"kernel_size": (3,)}))
    problem = Problem(ChoiceSpace("one"), TASK, Limits())
    source = Proposer(problem, samplers.make("random", problem, 0), 0)
    assert source.propose() is not None
    assert source.propose() is None


def test_choices_that_are_none_are_refused() -> None:
    good = SPACE.reference().to_json()
    for change in ({"width": "5"}, {"depth": "1", "extra": "2"}):
        bad = read_architecture(good | {"choices": good["choices"] | change})
        with pytest.raises(InvalidArchitectureError):
            build(bad, 3, 5)
        assert SPACE.encode(bad) is None
    wrong: list[dict[str, Any]] = [{"space": 3}, {"choices": []}, {"choices": {"width": 8}}]
    for broken in (*wrong, {"more": 1}):
        with pytest.raises(InvalidArchitectureError):
            read_architecture(good | broken)


def test_without_its_plugin_a_study_says_what_is_missing() -> None:
    network = ChoiceArchitecture("elsewhere", (("width", "8"),))
    assert read_architecture(network.text) == network
    assert network.by_hand is None
    with pytest.raises(UnknownSpaceError, match="add the plugin that has it, --plugin MODULE"):
        network.cost(TASK)
    data = SPACE.to_json()
    with pytest.raises(UnknownSpaceError, match="--plugin"):
        registry.recorded(data | {"name": "elsewhere"})
    with pytest.raises(UnknownSpaceError, match="the values of usual have changed"):
        registry.recorded(data | {"choices": {"width": ["4"]}})
