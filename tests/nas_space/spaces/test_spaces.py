"""Search spaces: finite labels that mean architectures, and back."""

import functools
import itertools
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_space.convs import TYPES, parse
from nas_space.costs.cost import Cost, Task, predict
from nas_space.spaces.__main__ import main
from nas_space.spaces.registry import get, name_of, recorded, spaces
from nas_space.spaces.residual import ResidualArchitecture, ResidualSpace
from nas_space.spaces.residual.families import FAMILIES, PHOTO_FAMILIES, WIDTHS
from nas_space.spaces.residual.stem import Stem
from nas_space.spaces.space import Measure, UnknownSpaceError

TASK = Task(channels=3, size=(32, 32), classes=10)
TINY = (
    ResidualSpace("two stages", ("igc", "regular"), widths=((8, 16), (16,)), depths=(1,)),
    ResidualSpace("two depths", ("igc", "regular"), widths=((8, 16),), depths=(1, 2)),
    ResidualSpace(
        "every choice",
        ("regular", "xception"),
        widths=((4, 8), (6,)),
        depths=(1,),
        entries=("none", "pooled"),
        downs=("pooled", "strided"),
        expansions=(1.0, 2.0),
        pointwise=True,
        optional=True,
        stems=("regular", "blueprint", "regular/2"),
    ),
    ResidualSpace(
        "absent",
        ("separable",),
        widths=((4, 8), (4, 12), (8, 16)),
        depths=(1, 2),
        entries=("none", "strided"),
        downs=("strided", "none"),
        expansions=(1.0, 0.5, 3.0),
        optional=True,
        stems=("blueprint/2", "blueprint"),
    ),
    ResidualSpace(
        "bottlenecks of octaves",
        ("octave",),
        widths=((2, 4),),
        depths=(1,),
        expansions=(0.25, 1.0),
        entries=("pooled", "none"),
    ),
    ResidualSpace(
        "bottlenecks",
        ("regular",),
        widths=((2, 4), (3, 5)),
        depths=(1, 2),
        downs=("pooled", "strided"),
        expansions=(0.25, 1.0),
        stems=("regular(kernel=5)/2/pool",),
        heads=(0, 9),
    ),
    ResidualSpace(
        "never too wide",
        ("igc", "blueprint"),
        widths=((4, 8),),
        depths=(1,),
        expansions=(0.5, 1.0, 2.0, 3.0),
        stems=("regular/pool", "blueprint/2"),
        heads=(4,),
        most_hidden=16,
    ),
    # With 50 classes its classifier takes nearly the memory of its first stage.
    ResidualSpace("narrowing", ("regular",), ((12,), (8,)), (1,), expansions=(3.0, 1.0)),
)
OLD_KINDS = ("deep_roots", "igc", "igcv2", "octave", "regular", "xception")
"""Those of `mixed` as it was first."""
OLD_MIXED = {
    "name": "mixed",
    "kinds": list(OLD_KINDS),
    "widths": [[8, 16, 24, 32, 48, 64], [16, 32, 48, 64, 96, 128], [32, 64, 96, 128, 192, 256]],
    "depths": [1, 2, 3],
}
"""What studies of `mixed` as it was first have stored."""

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
def test_every_layer_and_the_stem_have_an_allowed_type(space: ResidualSpace, seed: int) -> None:
    architecture = space.decode(draw(space, seed))
    assert str(architecture.stem) in space.stems
    for block in architecture.blocks():
        for number, layer in enumerate(block.layers, 1):
            assert layer.c_in is not None
            kinds = [TYPES.get(kind) for kind in space.kinds]
            served = any(kind.settings(layer.c_in, layer.c_out) for kind in kinds)
            mixing = len(block.layers) == 3 and number != 2
            if mixing:
                served = all(kind.pointwise_settings(layer.c_in, layer.c_out) for kind in kinds)
            assert layer.conv.kind in space.kinds or (not served and layer.conv.kind == "regular")
            assert not mixing or layer.conv.kernel == 1


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


@functools.cache
def everything(space: ResidualSpace) -> frozenset[ResidualArchitecture]:
    labels = [[(p.name, label) for label in p.labels] for p in space.parameters]
    return frozenset(space.decode(dict(chosen)) for chosen in itertools.product(*labels))


@pytest.mark.parametrize("space", TINY, ids=lambda space: str(space.name))
def test_the_size_of_a_space_is_the_number_of_its_architectures(space: ResidualSpace) -> None:
    assert space.size() == len(everything(space))
    assert len({architecture.key for architecture in everything(space)}) == space.size()


@pytest.mark.parametrize("space", TINY, ids=lambda space: str(space.name))
def test_every_architecture_of_a_space_has_labels(space: ResidualSpace) -> None:
    for architecture in everything(space):
        labels = space.encode(architecture)
        assert labels is not None, architecture
        assert space.decode(labels) == architecture


@pytest.mark.parametrize("space", TINY, ids=lambda space: str(space.name))
@pytest.mark.parametrize(
    "task", [TASK, Task(1, (9, 5), 10), Task(3, (1, 1), 50), Task(3, (3, 2), 30)], ids=str
)
@pytest.mark.parametrize("measure", ["macs", "params", "activation_memory"])
def test_smallest_and_largest_are_the_extremes_of_all(
    space: ResidualSpace, task: Task, measure: Measure
) -> None:
    costs = [getattr(predict(architecture, task), measure) for architecture in everything(space)]
    ends = space.smallest(task, measure), space.largest(task, measure)
    assert everything(space).issuperset(ends)
    assert [getattr(predict(end, task), measure) for end in ends] == [min(costs), max(costs)]


def test_there_is_a_space_for_every_type_and_one_for_all() -> None:
    assert spaces().keys() == {"mixed", "photo", *TYPES}
    assert set(get("mixed").kinds) == set(TYPES)


def test_the_first_version_of_mixed_is_what_studies_have_stored() -> None:
    old = get("mixed@1")
    assert old == ResidualSpace("mixed", OLD_KINDS)
    assert old.to_json() == OLD_MIXED
    assert recorded(OLD_MIXED) == old


def test_the_first_version_has_the_choices_that_it_had() -> None:
    names = {parameter.name.rpartition(".")[2] for parameter in get("mixed@1").parameters}
    assert names == {"width", "depth", "conv1", "conv2", "setting"}
    plain = get("mixed@1").decode({"stage1.width": "16"})
    assert plain.text == (
        '{"format":1,"skeleton":"residual","stages":['
        '{"blocks":[["deep_roots(groups=2)","deep_roots(groups=2)"]],"width":16},'
        '{"blocks":[["deep_roots(groups=2)","deep_roots(groups=2)"]],"width":16},'
        '{"blocks":[["deep_roots(groups=2)","deep_roots(groups=2)"]],"width":32}],'
        '"stem":"regular"}'
    )


def test_each_type_had_a_space_in_the_first_version_but_those_that_came_later() -> None:
    for kind in OLD_KINDS:
        assert get(f"{kind}@1") == ResidualSpace(kind, (kind,))
    with pytest.raises(
        UnknownSpaceError, match="there is no separable@1: that version had no separable"
    ):
        get("separable@1")
    with pytest.raises(UnknownSpaceError, match="unknown space 'mixed@3'"):
        get("mixed@3")


def test_the_second_version_has_no_blueprints_and_one_stem() -> None:
    old, now = get("mixed@2"), get("mixed")
    assert set(now.kinds) - set(old.kinds) == {"blueprint"}
    assert (old.widths, old.downs, old.optional) == (now.widths, now.downs, now.optional)
    assert {parameter.name for parameter in now.parameters} - {
        parameter.name for parameter in old.parameters
    } == {"stem"}
    assert "stems" not in old.to_json()
    assert name_of(old.to_json()) == "mixed@2"
    assert recorded(old.to_json()) == old
    assert get("separable@2").kinds == ("separable",)


@every_space
def test_a_space_is_read_back_as_it_was_stored(space: ResidualSpace) -> None:
    data = json.loads(json.dumps(space.to_json()))
    assert recorded(data) == space
    assert name_of(data) == space.name


def test_a_stored_space_is_named_as_users_type_it() -> None:
    assert name_of(OLD_MIXED) == "mixed@1"
    assert name_of(OLD_MIXED | {"depths": [1]}) is None
    assert name_of({"name": "gone"}) is None


@pytest.mark.parametrize(
    ("changes", "unknown"), [({"kinds": ["gone"]}, "gone"), ({"tails": [1]}, "tails")]
)
def test_a_stored_space_of_a_later_version_is_refused(
    changes: dict[str, object], unknown: str
) -> None:
    with pytest.raises(UnknownSpaceError, match=f"has {unknown}, which this version does not"):
        recorded(OLD_MIXED | changes)


def test_what_is_no_space_at_all_is_refused() -> None:
    with pytest.raises(UnknownSpaceError, match="no space has only the fields name"):
        recorded({"name": "mixed"})


def test_hand_designed_networks_of_every_family_are_in_mixed() -> None:
    space, found = get("mixed"), list(get("mixed").by_hand())
    assert len({architecture.key for architecture in found}) == len(FAMILIES) * len(WIDTHS)
    assert {architecture.by_hand for architecture in found} == {f.name for f in FAMILIES}
    for architecture in found:
        labels = space.encode(architecture)
        assert labels is not None, architecture
        assert space.decode(labels) == architecture
        assert space.decode(labels).by_hand == architecture.by_hand


def test_what_people_scale_for_photographs_is_in_the_space_of_photographs() -> None:
    space, found = get("photo"), list(get("photo").by_hand())
    names = {family.name for family in PHOTO_FAMILIES}
    assert {architecture.by_hand for architecture in found} == names
    inside = [(space.encode(architecture), architecture) for architecture in found]
    held = [(labels, architecture) for labels, architecture in inside if labels is not None]
    assert {architecture.by_hand for _, architecture in held} == names
    assert len(held) > 0.8 * len(found)  # but for the widest
    for labels, architecture in held:
        assert space.decode(labels) == architecture


def test_the_papers_networks_for_imagenet_cost_what_they_say() -> None:
    task = Task(channels=3, size=(224, 224), classes=1000)
    costs = {
        (a.by_hand, a.stages[0].narrow): predict(a, task)
        for a in get("photo").by_hand()
        if a.stages[0].narrow == 64
    }
    # As torchvision counts resnet18 and resnet50, stride in the 3×3 convolution.
    assert costs["ResNet-18", 64] == Cost(params=11_689_512, macs=1_814_073_344)
    assert costs["ResNet-50", 64] == Cost(params=25_557_032, macs=4_089_184_256)


def test_the_reference_is_a_resnet_20_of_width_16() -> None:
    reference = get("mixed").reference()
    assert reference.by_hand == "ResNet-20"
    assert [(stage.width, len(stage.blocks)) for stage in reference.stages] == [
        (16, 3),
        (32, 3),
        (64, 3),
    ]


def test_only_families_have_a_name() -> None:
    known = next(a for a in get("mixed").by_hand() if a.by_hand == "ResNet-14")
    first, *others = known.stages
    regular, igc = parse("regular"), parse("igc(L=2,M=2)")
    changed = [
        (replace(first, width=first.width + 1), *others),
        (replace(first, hidden=2 * first.width), *others),
        (replace(first, down="strided"), *others),
        (replace(first, blocks=((regular, igc), *first.blocks[1:])), *others),
        (first, *(replace(stage, down=None) for stage in others)),
        (first, *others[:-1]),
    ]
    assert [ResidualArchitecture(stages).by_hand for stages in changed] == [None] * len(changed)
    assert replace(known, stem=Stem.read("regular(kernel=5)")).by_hand is None
    assert replace(known, head=8).by_hand is None
    drawn = {get("mixed").decode(draw(get("mixed"), seed)).by_hand for seed in range(100)}
    assert drawn == {None}


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


@every_space
def test_inverted_bottlenecks_of_each_type_are_of_the_space(space: ResidualSpace) -> None:
    found = list(space.inverted())
    widths = min(map(len, space.widths))
    lengths = 1 + space.optional
    assert len(found) == 2 * lengths * len(space.kinds) * widths * ("regular" in space.kinds)
    assert len({len(architecture.stages) for architecture in found}) == (lengths if found else 0)
    for architecture in found:
        labels = space.encode(architecture)
        assert labels is not None
        assert space.decode(labels) == architecture
        assert all(stage.inner == 3 * stage.width for stage in architecture.stages)
    blocks = {block for architecture in found for block in architecture.stages[-1].blocks}
    for kind in space.kinds if found else ():
        assert any((a.kind, str(b)) == (kind, "regular(kernel=1)") for a, b in blocks)
        assert any((str(a), b.kind) == ("regular(kernel=1)", kind) for a, b in blocks)


def test_networks_of_a_type_that_can_read_the_image_let_it() -> None:
    space = get("mixed")
    for architecture in (*space.uniform(), *space.inverted()):
        kinds = {layer.conv.kind for layer in architecture.layers() if layer.c_in}
        assert str(architecture.stem) == ("blueprint" if "blueprint" in kinds else "regular")


def test_uniform_networks_of_regular_convolutions_see_more_than_pixels() -> None:
    for space in (get("regular"), get("mixed")):
        regular = [a for a in space.uniform() if a.stages[0].blocks[0][0].kind == "regular"]
        assert all(layer.conv.kernel == 3 for a in regular for layer in a.layers())


def test_the_first_uniform_networks_are_spread_over_types_and_widths() -> None:
    first = list(get("mixed").uniform())[:6]
    assert len({a.stages[0].blocks[0][1].kind for a in first}) == 6
    assert len({a.stages[0].width for a in first}) == 6
