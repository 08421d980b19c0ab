"""Search spaces: finite labels that mean architectures, and back."""

import functools
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.convs import TYPES
from nas_space.costs.cost import Task, predict
from nas_space.spaces.__main__ import main
from nas_space.spaces.registry import get, spaces
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.space import Measure, UnknownSpaceError

TASK = Task(channels=3, size=(32, 32), classes=10)
TINY = (
    ResidualSpace("two stages", ("igc", "regular"), widths=((8, 16), (16,)), depths=(1,)),
    ResidualSpace("two depths", ("igc", "regular"), widths=((8, 16),), depths=(1, 2)),
)

every_space = pytest.mark.parametrize("space", spaces().values(), ids=lambda space: str(space.name))


def draw(space: ResidualSpace, seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    return {p.name: chance.choice(p.labels) for p in space.parameters}


@every_space
@given(seed=st.integers())
def test_encoding_is_the_inverse_of_decoding(space: ResidualSpace, seed: int) -> None:
    architecture = space.decode(draw(space, seed))
    labels = space.encode(architecture)
    assert labels is not None
    assert labels.keys() == {p.name for p in space.parameters}
    assert space.decode(labels) == architecture


@every_space
@given(seed=st.integers())
def test_every_layer_has_an_allowed_type_and_the_stem_is_regular(
    space: ResidualSpace, seed: int
) -> None:
    stem, *layers = space.decode(draw(space, seed)).layers()
    assert stem.conv.kind == "regular"
    for layer in layers:
        assert layer.c_in is not None
        served = any(TYPES.get(kind).settings(layer.c_in, layer.c_out) for kind in space.kinds)
        assert layer.conv.kind in (space.kinds if served else ("regular",))


@functools.cache
def bounds(space: ResidualSpace, measure: Measure) -> tuple[int, int]:
    extremes = space.smallest(TASK, measure), space.largest(TASK, measure)
    least, most = (getattr(predict(a, TASK), measure) for a in extremes)
    return least, most


@every_space
@pytest.mark.parametrize("measure", ["macs", "params"])
@given(seed=st.integers())
def test_costs_lie_between_the_smallest_and_the_largest(
    space: ResidualSpace, measure: Measure, seed: int
) -> None:
    least, most = bounds(space, measure)
    assert least <= getattr(predict(space.decode(draw(space, seed)), TASK), measure) <= most


@every_space
@given(seed=st.integers())
def test_the_catalogue_lists_every_label_that_occurs(space: ResidualSpace, seed: int) -> None:
    catalogue = space.catalogue()
    for layer in itertools.islice(space.decode(draw(space, seed)).layers(), 1, None):
        assert str(layer.conv) in catalogue[layer.name]


@pytest.mark.parametrize("space", TINY, ids=lambda space: str(space.name))
def test_the_size_of_a_space_is_the_number_of_its_architectures(space: ResidualSpace) -> None:
    labels = [[(p.name, label) for label in p.labels] for p in space.parameters]
    everything = {space.decode(dict(combination)) for combination in itertools.product(*labels)}
    assert space.size() == len(everything)
    least, most = space.smallest(TASK), space.largest(TASK)
    macs = [predict(architecture, TASK).macs for architecture in everything]
    assert (predict(least, TASK).macs, predict(most, TASK).macs) == (min(macs), max(macs))


def test_there_is_a_space_for_every_type_and_one_for_all() -> None:
    assert spaces().keys() == {"mixed", *TYPES}
    assert set(get("mixed").kinds) == set(TYPES)


def test_mixed_reaches_the_papers_igc_networks() -> None:
    # IGC-L24M2: widths 48, 96, 192, wider than RegConv-W16's 16, 32, 64.
    widths = get("mixed").widths[:3]
    assert all(width in allowed for width, allowed in zip((48, 96, 192), widths, strict=True))
    assert any(str(conv) == "igc(L=24,M=2)" for conv in TYPES.get("igc").settings(48, 48))


def test_an_architecture_of_another_space_has_no_labels() -> None:
    assert get("igc").encode(get("regular").decode({})) is None


def test_an_unknown_space_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownSpaceError, match=r"unknown space 'mix'; known spaces: mixed, "):
        get("mix")


def test_the_command_prints_the_size_of_every_space(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["convnas-spaces"])
    assert main() == 0
    printed = capsys.readouterr().out
    for space in spaces().values():
        assert f"{space.size():.2e}" in printed


@every_space
def test_uniform_networks_have_one_type_and_are_of_the_space(space: ResidualSpace) -> None:
    found = list(space.uniform())
    assert len(found) == len(space.kinds) * min(map(len, space.widths))
    for architecture in found:
        labels = space.encode(architecture)
        assert labels is not None
        assert space.decode(labels) == architecture
    # A type that does not fit a width leaves a layer regular.
    kinds_of = [{layer.conv.kind for layer in a.layers() if layer.c_in} for a in found]
    assert all(len(kind - {"regular"}) <= 1 for kind in kinds_of)


def test_the_first_uniform_networks_are_spread_over_types_and_widths() -> None:
    first = list(get("mixed").uniform())[:6]
    assert len({a.stages[0].blocks[0][1].kind for a in first}) == 6
    assert len({a.stages[0].width for a in first}) == 6
