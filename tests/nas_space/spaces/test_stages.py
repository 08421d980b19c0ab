"""Stages of residual networks: one spelling each, and JSON that older texts keep."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.convs import parse
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.residual import ResidualArchitecture, Stage
from nas_space.spaces.residual.architecture import usual_down
from nas_space.spaces.residual.stage import DOWNS
from nas_space.spaces.skeletons import read_architecture

PLAIN = ((parse("regular"), parse("xception")),)


def of(*stages: Stage) -> ResidualArchitecture:
    return ResidualArchitecture(stages)


def stages() -> st.SearchStrategy[Stage]:
    return st.builds(
        Stage,
        st.sampled_from((8, 12, 16)),
        st.just(PLAIN),
        st.sampled_from((None, *DOWNS)),
        st.sampled_from((None, 8, 16, 24)),
    )


@given(st.lists(stages(), min_size=1, max_size=4))
def test_a_stage_of_a_network_is_read_back_as_it_was_written(drawn: list[Stage]) -> None:
    network = of(*drawn)
    for position, stage in enumerate(network.stages):
        assert Stage.read(json.loads(json.dumps(stage.to_json()))) == stage
        asked = drawn[position]
        assert usual_down(stage, position) == usual_down(asked, position)
        assert (stage.inner, stage.width) == (asked.inner, asked.width)
    again = read_architecture(network.text)
    assert (again, again.key) == (network, network.key)


def test_what_is_as_usual_has_one_spelling() -> None:
    usual = of(Stage(8, PLAIN), Stage(16, PLAIN))
    spelled = of(Stage(8, PLAIN, "none", 8), Stage(16, PLAIN, "strided", 16))
    assert spelled == usual
    assert (spelled.text, spelled.key, hash(spelled)) == (usual.text, usual.key, hash(usual))
    assert [(stage.down, stage.hidden) for stage in spelled.stages] == [(None, None)] * 2
    assert [stage.to_json().keys() for stage in spelled.stages] == [{"width", "blocks"}] * 2


def test_what_is_not_as_usual_is_kept_and_written() -> None:
    network = of(Stage(8, PLAIN, "strided", 16), Stage(16, PLAIN, "none"))
    first, second = network.stages
    assert (first.down, first.hidden) == ("strided", 16)
    assert (second.down, second.hidden) == ("none", None)
    assert first.to_json() == {
        "width": 8,
        "blocks": [["regular", "xception"]],
        "down": "strided",
        "hidden": 16,
    }
    assert str(first) == "8(strided,hidden=16): regular xception"
    assert len({network, of(Stage(8, PLAIN), Stage(16, PLAIN))}) == 2


def test_pooling_and_striding_differ_even_where_their_maps_have_the_same_size() -> None:
    pooled, strided = (of(Stage(8, PLAIN), Stage(16, PLAIN, down)) for down in ("pooled", None))
    assert pooled.key != strided.key
    assert [layer.stride for layer in pooled.layers()] == [1, 1, 1, 1, 1]
    assert [layer.stride for layer in strided.layers()] == [1, 1, 1, 2, 1]
    behind = {layer.name: size for layer, size in pooled.sizes((9, 8))}
    assert (behind["stage1.block1.conv2"], behind["stage2.block1.conv1"]) == ((9, 8), (5, 4))


def test_layers_of_a_wider_inside_have_its_channels() -> None:
    network = of(Stage(8, PLAIN * 2, hidden=24))
    assert [(layer.c_in, layer.c_out) for layer in network.layers()] == [
        (None, 8),
        (8, 24),
        (24, 8),
        (8, 24),
        (24, 8),
    ]
    assert list(network.shortcuts()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"down": "halved"}, "stage1: down must be one of none, strided, pooled, not 'halved'"),
        ({"down": 2}, "a stage's down must be one of none, strided, pooled"),
        ({"hidden": 0}, "stage1: hidden must be from 1 to 8192, not 0"),
        ({"hidden": 8.0}, "a stage's width and hidden must be whole numbers"),
        ({"hidden": True}, "a stage's width and hidden must be whole numbers"),
        ({"inside": 8}, "the fields width and blocks, and may have down, hidden"),
    ],
)
def test_a_stage_that_is_none_is_refused_and_says_why(changes: dict[str, Any], reason: str) -> None:
    stage = Stage(8, PLAIN).to_json() | changes
    data = {"format": 1, "skeleton": "residual", "stem": "regular", "stages": [stage]}
    with pytest.raises(InvalidArchitectureError, match=reason):
        read_architecture(data)
