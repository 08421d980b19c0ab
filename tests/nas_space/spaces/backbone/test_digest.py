"""A function that gives another network under the same names: noticed wherever it is built."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.backbone.architecture import BackboneArchitecture
from nas_space.spaces.backbone.digest import digest
from nas_space.spaces.backbone.following import followed
from nas_space.spaces.backbone.space import BackboneSpace
from nas_space.spaces.building import build
from nas_space.spaces.registry import find
from nas_space.spaces.skeletons import read_architecture

TASK = Task(1, (8, 8), 10)


def digest_of(model: nn.Module) -> str:
    return digest(model, followed(model, frozenset(), "x", (1, 8, 8)))


class Called(nn.Module):
    """Its activation is a function that `forward` calls."""

    def __init__(self, activation: Callable[[Tensor], Tensor] = F.relu, scale: float = 2.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 32, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(32, 10)
        self.activation = activation
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.wide(self.activation(self.stem(x))))
        logits: Tensor = self.head(self.drop(x).mean(dim=(2, 3)) * self.scale)
        return logits


def layers(
    activation: type[nn.Module] = nn.ReLU, eps: float = 1e-5, momentum: float = 0.1
) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16, eps, momentum),
        activation(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class Own(nn.Module):
    """The network of which studies know no more than this name."""

    made: Callable[[], nn.Module] = staticmethod(layers)

    def __new__(cls) -> Any:  # noqa: ANN401 - it is a function to its user
        return cls.made()


OWN = f"{__name__}:Own"


@pytest.fixture
def space() -> BackboneSpace:
    found = find(f"backbone:{OWN}", TASK)
    assert isinstance(found, BackboneSpace)
    return found


def test_weights_and_modes_change_no_digest() -> None:
    first, second = layers().eval(), layers().train()
    assert digest_of(first) == digest_of(second)
    assert not first.training
    assert second.training
    assert not torch.equal(first.state_dict()["0.weight"], second.state_dict()["0.weight"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (layers(), layers(nn.Tanh)),
        (layers(), layers(eps=0.1)),
        (layers(), layers(momentum=0.5)),
        (Called(), Called(torch.tanh)),
        (Called(), Called(scale=3.0)),
    ],
    ids=["layer", "eps", "momentum", "function", "constant"],
)
def test_what_it_computes_does_under_the_same_names(before: nn.Module, after: nn.Module) -> None:
    assert before.state_dict().keys() == after.state_dict().keys()
    assert digest_of(before) != digest_of(after)


def test_a_function_that_changes_is_refused_where_a_network_of_it_is_built(
    space: BackboneSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = space.smallest(TASK)
    build(network, 1, 10)
    build(network.bare(), 1, 10)
    monkeypatch.setattr(Own, "made", lambda: layers(nn.Tanh))
    with pytest.raises(InvalidArchitectureError, match="Own has changed: it computes something el"):
        build(network, 1, 10)
    other = find(f"backbone:{OWN}", TASK)
    assert other.encode(network) is None
    assert other.smallest(TASK).key != network.key


def test_a_network_of_before_digests_has_its_old_key_and_is_built(space: BackboneSpace) -> None:
    data = space.smallest(TASK).to_json()
    assert len(data["backbone"].pop("digest")) == 12
    network = read_architecture(data)
    assert network.to_json() == data
    assert isinstance(network, BackboneArchitecture)
    assert network.backbone == dataclasses.replace(space.backbone, digest=None)
    build(network, 1, 10)


@pytest.mark.parametrize("value", [None, "", "0123", "0123456789AB", 123456789012])
def test_what_is_no_digest_is_one_line(space: BackboneSpace, value: object) -> None:
    data = space.smallest(TASK).to_json()
    data["backbone"]["digest"] = value
    with pytest.raises(InvalidArchitectureError, match="a backbone's digest is twelve hex digits"):
        read_architecture(data)
