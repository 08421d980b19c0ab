"""Architectures are values: equal, hashable, JSON that lasts, and refused when impossible."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.convs import parse
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualArchitecture, Stage
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.skeletons import read_architecture

WRITTEN_BY_0_1 = (
    '{"format":1,"skeleton":"residual","stages":[{"blocks":[["igc(L=4,M=4)","xception"]],'
    '"width":16},{"blocks":[["octave(alpha=0.25)","deep_roots(groups=4)"],["regular",'
    '"regular(kernel=5)"]],"width":32}],"stem":"regular"}'
)


def architectures() -> st.SearchStrategy[Architecture]:
    space = get("mixed")
    labels = {p.name: st.sampled_from(p.labels) for p in space.parameters}
    return st.fixed_dictionaries(labels).map(space.decode)


@given(architectures())
def test_json_reads_back_as_an_equal_value_with_an_equal_key(architecture: Architecture) -> None:
    text = json.dumps(architecture.to_json(), indent=3)
    again = read_architecture(text)
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.key == architecture.key


@given(architectures(), architectures())
def test_keys_are_equal_exactly_when_architectures_are(a: Architecture, b: Architecture) -> None:
    assert (a.key == b.key) == (a == b)


def test_json_and_key_of_today_hold_for_ever() -> None:
    architecture = read_architecture(WRITTEN_BY_0_1)
    assert architecture.text == WRITTEN_BY_0_1
    assert architecture.key == "ef8034ace81e"


def test_it_cannot_be_changed() -> None:
    architecture = read_architecture(WRITTEN_BY_0_1)
    assert isinstance(architecture, ResidualArchitecture)
    with pytest.raises(dataclasses.FrozenInstanceError):
        architecture.stem = Stem()  # type: ignore[misc]


def test_layers_come_in_order_with_their_places_widths_and_strides() -> None:
    layers = [
        (layer.name, layer.c_in, layer.c_out, layer.stride)
        for layer in read_architecture(WRITTEN_BY_0_1).layers()
    ]
    assert layers == [
        ("stem", None, 16, 1),
        ("stage1.block1.conv1", 16, 16, 1),
        ("stage1.block1.conv2", 16, 16, 1),
        ("stage2.block1.conv1", 16, 32, 2),
        ("stage2.block1.conv2", 32, 32, 1),
        ("stage2.block2.conv1", 32, 32, 1),
        ("stage2.block2.conv2", 32, 32, 1),
    ]


def test_a_choice_that_does_not_fit_names_its_place_and_why() -> None:
    blocks = ((parse("regular"), parse("igc(L=4,M=5)")),)
    with pytest.raises(InvalidArchitectureError, match=r"stage1\.block1\.conv2: .*L·M = 20 must"):
        ResidualArchitecture((Stage(16, blocks),))


def with_changes(**changes: object) -> dict[str, Any]:
    return {**json.loads(WRITTEN_BY_0_1), **changes}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[" * 100_000,
        "null",
        "[]",
        "{}",
        "\ufeff{}",
        b"\xff\xfe\x00",
        "9" * 5000,
        WRITTEN_BY_0_1.replace('"format":1', '"format":1,"format":1'),
        WRITTEN_BY_0_1.replace('"width":16', '"width":16,"width":32'),
        WRITTEN_BY_0_1.replace('"width":16', '"width":16.0'),
        WRITTEN_BY_0_1.replace('"width":16', '"width":NaN'),
        WRITTEN_BY_0_1.replace('"width":16', '"width":1e999'),
        WRITTEN_BY_0_1.replace('"width":16', '"width":-16'),
        WRITTEN_BY_0_1.replace('"format":1', '"format":' + "[" * 900 + "]" * 900),
        with_changes(format=2),
        with_changes(format=True),
        with_changes(format=1.0),
        with_changes(skeleton="../../etc"),
        with_changes(stem=3),
        with_changes(stem="igc"),
        with_changes(stem="regular/3"),
        with_changes(stem="regular/2/2"),
        with_changes(extra=1),
        with_changes(stages=[]),
        with_changes(stages={}),
        with_changes(stages=[3]),
        with_changes(stages=[{"width": "16", "blocks": [["regular", "regular"]]}]),
        with_changes(stages=[{"width": True, "blocks": [["regular", "regular"]]}]),
        with_changes(stages=[{"width": 0, "blocks": [["regular", "regular"]]}]),
        with_changes(stages=[{"width": 10**12, "blocks": [["regular", "regular"]]}]),
        with_changes(stages=[{"width": 16, "blocks": []}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular"]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular"] * 4]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", None]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "regular"]] * 1000}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "igc(L=3,M=5)"]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "igc(L=4,\n=4)"]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "octave(alpha=nan)"]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "x" * 10**7]]}]),
        with_changes(stages=[{"width": 8192, "blocks": [["regular", "regular"]]}]),
        with_changes(stages=[{"width": 16, "blocks": [["regular", "regular"]]}] * 9),
        with_changes(stages=[{"width": 16, "blocks": [["regular"] * 10**6] * 2}] * 2),
    ],
    ids=lambda data: str(data)[:60],
)
def test_what_is_no_architecture_is_refused_in_one_line(data: object) -> None:
    with pytest.raises(InvalidArchitectureError) as caught:
        read_architecture(data)
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["stages", "width", "blocks", "stem", "x"]), inner)
    ),
    max_leaves=20,
)


def read_or_refused(data: object) -> None:
    """Reading gives an architecture that is written and read back as itself, or one clear line."""
    try:
        architecture = read_architecture(data)
    except InvalidArchitectureError as error:
        assert_one_line(str(error))
        return
    again = read_architecture(architecture.text)
    assert (again, again.text, again.key) == (architecture, architecture.text, architecture.key)


def assert_one_line(text: str) -> None:
    assert text.isprintable()
    assert 0 < len(text) < 1000


@given(json_values, st.sampled_from(["format", "skeleton", "stem", "stages"]))
def test_any_json_is_an_architecture_or_refused(value: object, field: str) -> None:
    for data in (value, with_changes(**{field: value})):
        read_or_refused(data)
        read_or_refused(json.dumps(data))


@given(st.text() | st.binary())
def test_any_text_is_an_architecture_or_refused(text: str | bytes) -> None:
    read_or_refused(text)


@given(architectures(), st.data())
def test_a_changed_text_is_an_architecture_or_refused(
    architecture: Architecture, data: st.DataObject
) -> None:
    text = architecture.text
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    piece = data.draw(st.text('0123456789.-+eE,:"[]{}()=LMKaigct', max_size=8))
    read_or_refused(text[:start] + piece + text[end:])


@given(architectures(), st.data())
def test_a_changed_value_is_an_architecture_or_refused(
    architecture: Architecture, data: st.DataObject
) -> None:
    changed = architecture.to_json()
    places = list(inner(changed))
    holder, place = data.draw(st.sampled_from(places))
    holder[place] = data.draw(json_values | st.sampled_from(places).map(lambda p: p[0][p[1]]))
    # What holds itself by now is no JSON.
    with contextlib.suppress(ValueError, RecursionError):
        read_or_refused(json.dumps(changed))


def inner(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """Each list and object within some JSON, with each of its indices or names."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for place, part in steps:
        yield value, place
        if isinstance(part, dict | list):
            yield from inner(part)


@pytest.mark.parametrize("text", ["regular", "regular/2", "blueprint", "blueprint(kernel=5)/2"])
def test_a_stem_is_read_back_as_it_is_spelled(text: str) -> None:
    written = read_architecture(WRITTEN_BY_0_1)
    assert isinstance(written, ResidualArchitecture)
    architecture = dataclasses.replace(written, stem=Stem.read(text))
    assert architecture.to_json()["stem"] == text
    assert read_architecture(architecture.text) == architecture
    assert architecture.dimensions()["stem"] == text
    assert str(architecture).startswith(f"{text} | ") == (text != "regular")
