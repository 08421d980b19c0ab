"""An architecture as numbers."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from nas_space.costs.cost import Task, predict
from nas_space.spaces.features import describe
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualArchitecture

TASK = Task(channels=3, size=(16, 16), classes=10)
SPACE = get("mixed")


def drawn(seed: int) -> ResidualArchitecture:
    chance = random.Random(seed)
    return SPACE.decode({p.name: chance.choice(p.labels) for p in SPACE.parameters})


def described(architecture: ResidualArchitecture) -> list[float]:
    return describe(architecture, TASK, predict(architecture, TASK), SPACE.kinds, SPACE.sections)


@given(st.integers())
def test_all_networks_of_a_space_have_the_same_number_of_finite_features(seed: int) -> None:
    found = described(drawn(seed))
    assert len(found) == 4 + SPACE.sections * (7 + len(SPACE.kinds)) + len(SPACE.kinds)
    assert all(map(math.isfinite, found))


@given(st.integers())
def test_shares_of_types_add_up_and_costs_are_logarithms(seed: int) -> None:
    architecture = drawn(seed)
    found, cost = described(architecture), predict(architecture, TASK)
    assert found[:2] == [math.log(cost.macs), math.log(cost.params)]
    assert math.isclose(sum(found[-len(SPACE.kinds) :]), 1)


def test_a_uniform_dense_network_has_no_sparsity_and_one_type() -> None:
    first = next(a for a in SPACE.uniform() if a.stages[0].blocks[0][0].kind == "regular")
    found = described(first)
    assert found[2:4] == [0, 0]
    stage = found[4 : 4 + 7 + len(SPACE.kinds)]
    assert stage[4] == 0
    assert stage[5:7] == [0, 0]
    assert stage[7 + SPACE.kinds.index("regular")] == 1


def test_stems_are_told_apart() -> None:
    labels = {"stage1.width": "16"}
    found = {
        text: described(SPACE.decode(labels | {"stem": text}))[2:4]
        for text in ("regular", "blueprint", "regular/2")
    }
    # Blueprint: a number and 9 of a pattern a channel, where a dense kernel has 9.
    assert found == {
        "regular": [0, 0],
        "blueprint": [math.log(10 / 9), 0],
        "regular/2": [0, 1],
    }
