"""The space over a backbone: every replaceable layer a choice, and nothing else changed."""

import dataclasses
import itertools
import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_space.convs import parse
from nas_space.costs.cost import Task, predict
from nas_space.costs.counting import count
from nas_space.spaces.architecture import Architecture, InvalidArchitectureError
from nas_space.spaces.backbone.architecture import BackboneArchitecture
from nas_space.spaces.backbone.space import BackboneSpace
from nas_space.spaces.building import build
from nas_space.spaces.features import describe
from nas_space.spaces.registry import check, find, get, recorded
from nas_space.spaces.skeletons import read_architecture
from nas_space.spaces.space import Measure, UnknownSpaceError
from tests.nas_space.conversion.models import Tiny

USERS = "backbone:tests.nas_space.conversion.models"
DIGITS = Task(1, (8, 8), 10)


def over(name: str, task: Task) -> BackboneSpace:
    space = find(name, task)
    assert isinstance(space, BackboneSpace)
    return space


TINY = over(f"{USERS}:Tiny", DIGITS)
RESNET = over("backbone:resnet18", Task(3, (32, 32), 10))
SPACES = {space.name: space for space in (TINY, RESNET)}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def drawn(space: BackboneSpace) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({p.name: st.sampled_from(p.labels) for p in space.parameters})


def everything(space: BackboneSpace) -> list[Architecture]:
    names = [p.name for p in space.parameters]
    labels = itertools.product(*(p.labels for p in space.parameters))
    return [space.decode(dict(zip(names, chosen, strict=True))) for chosen in labels]


@every_space
@given(data=st.data())
def test_labels_mean_architectures_and_back(space: BackboneSpace, data: st.DataObject) -> None:
    architecture = space.decode(data.draw(drawn(space)))
    labels = space.encode(architecture)
    assert labels is not None
    assert space.decode(labels) == architecture
    assert labels.keys() == {p.name for p in space.parameters}
    assert all(labels[p.name] in p.labels for p in space.parameters)


@every_space
@given(data=st.data())
def test_json_reads_back_without_the_network(space: BackboneSpace, data: st.DataObject) -> None:
    architecture = space.decode(data.draw(drawn(space)))
    again = read_architecture(architecture.text)
    assert (again, again.key) == (architecture, architecture.key)
    catalogue = space.catalogue()
    assert all(str(layer.conv) in catalogue[layer.name] for layer in again.layers())
    assert [layer.name for section in again.sections() for layer in section] != []


def test_the_study_keeps_all_of_a_space() -> None:
    assert recorded(TINY.to_json()) == TINY
    assert recorded(get("mixed").to_json()) == get("mixed")
    with pytest.raises(UnknownSpaceError, match="cannot be read"):
        recorded({"name": "backbone:x", "backbone": {}})


@every_space
@given(data=st.data())
@settings(max_examples=20)
def test_costs_are_those_of_the_module_that_is_built(
    space: BackboneSpace, data: st.DataObject
) -> None:
    architecture = space.decode(data.draw(drawn(space)))
    task = space.backbone.task
    module = build(architecture, task.channels, task.classes)
    assert predict(architecture, task) == count(module, (task.channels, *task.size))


@pytest.mark.parametrize("measure", ["macs", "params"])
def test_the_ends_of_a_small_space_are_those_of_all_its_networks(measure: Measure) -> None:
    costs = [getattr(predict(a, DIGITS), measure) for a in everything(TINY)]
    found = TINY.smallest(DIGITS, measure), TINY.largest(DIGITS, measure)
    assert [getattr(predict(a, DIGITS), measure) for a in found] == [min(costs), max(costs)]
    assert TINY.size() == len({a.key for a in everything(TINY)})


@every_space
def test_the_first_networks_are_the_backbone_and_one_of_each_type(space: BackboneSpace) -> None:
    first, *rest = space.uniform()
    assert predict(first, space.backbone.task).macs == space.backbone.macs
    assert {layer.conv.kind for layer in first.layers()} == {"as_is"}
    count = len(list(first.layers()))
    assert str(first) == f"{space.backbone.name}: as_is ×{count}"
    for kind, network in zip(space.kinds[1:], rest, strict=False):
        assert {layer.conv.kind for layer in network.layers()} <= {kind, "as_is"}
        assert space.encode(network) is not None
        assert predict(network, space.backbone.task).macs < space.backbone.macs


def test_what_cannot_be_replaced_offers_no_choice() -> None:
    assert [p.name for p in TINY.backbone.sites] == ["one", "two"]
    labels = {p.name: p.labels for p in TINY.parameters}
    # A dense layer in place of one of two groups would take twice its work.
    assert "regular" not in labels["two"]
    assert "as_is" in labels["two"]


@every_space
def test_features_have_one_length(space: BackboneSpace) -> None:
    task = space.backbone.task
    found = [
        describe(a, task, predict(a, task), space.kinds, space.sections)
        for a in (space.smallest(task), space.largest(task), next(iter(space.uniform())))
    ]
    assert len({len(features) for features in found}) == 1
    assert all(math.isfinite(number) for features in found for number in features)


def test_other_spaces_know_nothing_of_it() -> None:
    network = TINY.smallest(DIGITS)
    assert get("mixed").encode(network) is None
    assert RESNET.encode(network) is None
    assert TINY.encode(next(get("mixed").uniform())) is None


def test_layers_as_they_are_have_the_modules_own_weights_and_a_seed_draws_all() -> None:
    first = next(iter(TINY.uniform()))
    a, b, c = (build(first, 1, 10, seed=seed).state_dict() for seed in (1, 1, 2))
    assert a.keys() == Tiny().state_dict().keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["one.weight"], c["one.weight"])


def test_building_leaves_the_random_state() -> None:
    state = torch.get_rng_state()
    build(TINY.smallest(DIGITS), 1, 10, seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_is_for_other_images_is_refused() -> None:
    network = TINY.smallest(DIGITS)
    with pytest.raises(InvalidArchitectureError, match="is for images of 1×8×8 in 10 classes, not"):
        build(network, 3, 10)
    with pytest.raises(InvalidArchitectureError, match="not for images of 1×9×9 in 10 classes"):
        predict(network, Task(1, (9, 9), 10))


def test_a_backbone_that_has_changed_is_refused() -> None:
    sites = TINY.backbone.sites
    wider = dataclasses.replace(sites[0], c_out=64, macs=2 * sites[0].macs)
    other = dataclasses.replace(TINY.backbone, sites=(wider, *sites[1:]))
    network = BackboneArchitecture(other, (parse("xception"), parse("xception")))
    with pytest.raises(InvalidArchitectureError, match="has changed: one was 3×3, 16 → 64"):
        build(network, 1, 10)


@pytest.mark.parametrize(
    ("name", "task", "line"),
    [
        ("backbone:resnet19", DIGITS, "unknown backbone 'resnet19'; did you mean resnet1"),
        ("backbone:resnet18", DIGITS, "backbone ResNet fails for an image of 1×8×8: Given groups"),
        ("backbone:convnext_tiny", Task(3, (32, 32), 10), "has no convolution that can be repla"),
        ("backbone:googlenet", Task(3, (32, 32), 10), "gives a GoogLeNetOutputs for two images"),
        (f"{USERS}:nothing", DIGITS, "nothing is nothing in tests"),
        (f"{USERS}:broken", DIGITS, "the function failed (RuntimeError: no weights)"),
        (f"{USERS}:number", DIGITS, "the function gives a int, not a torch.nn.Module"),
        (f"{USERS}:Nothing", Task(3, (8, 8), 4), "Nothing has no Conv2d: there is nothing to con"),
        (f"{USERS}:Irreplaceable", DIGITS, "has no convolution that can be replaced"),
        (f"{USERS}:Tiny", Task(1, (8, 8), 7), "gives a tensor of 2×10 for two images in training"),
        (f"{USERS}:Auxiliary", DIGITS, "gives a tuple for two images in training, not logits of"),
        (f"{USERS}:Tied", DIGITS, "has the same weights as two.weight and as again.weight"),
        (f"{USERS}:Choosy", DIGITS, "torch.fx cannot follow its forward, whose way must not dep"),
        ("backbone:", DIGITS, "unknown backbone ''; give a classification model of torchvision"),
        ("spine:resnet18", DIGITS, "unknown space 'spine:resnet18'"),
    ],
)
def test_what_cannot_be_searched_is_one_line(name: str, task: Task, line: str) -> None:
    with pytest.raises(UnknownSpaceError) as raised:
        find(name, task)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_names_are_checked_before_images_are_read() -> None:
    check("backbone:anything")
    check("mixed")
    with pytest.raises(UnknownSpaceError, match="and backbone:NAME for a network that you have"):
        check("mixe")
    with pytest.raises(UnknownSpaceError, match="--init pretrained is for backbones, not for"):
        find("mixed", DIGITS, pretrained=True)


VALID = TINY.decode({"one": "octave"}).to_json()


def changed(**parts: object) -> dict[str, object]:
    return VALID | parts


def inside(**parts: object) -> dict[str, object]:
    backbone = VALID["backbone"]
    assert isinstance(backbone, Mapping)
    return VALID | {"backbone": dict(backbone) | parts}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (changed(more=1), "has a backbone and convs"),
        (changed(convs=[None]), "convs must be a list of 2 choices"),
        (changed(convs=None), "convs must be a list of 2 choices"),
        (changed(convs=[None, 3]), "a convolution is null, or a string like igc"),
        (changed(convs=[None, "no"]), "unknown convolution type 'no'"),
        (changed(convs=["igc(L=3,M=5)", None]), "one: igc(L=3,M=5): L·M = 15 must equal the width"),
        (changed(convs=["xception(kernel=5)", None]), "one: xception(kernel=5): the kernel is 3"),
        (changed(backbone=3), "a backbone has the fields name, pretrained"),
        (inside(name=3), "a backbone's name is text"),
        (inside(task=[1, 8, 8]), "a backbone's task must be 4 whole numbers above 0"),
        (inside(macs=-1), "params and macs must be 2 whole numbers above 0"),
        (inside(macs=True), "params and macs must be 2 whole numbers above 0"),
        (inside(places=[]), "a backbone has 1 to 4096 places"),
        (inside(places=[["one", 1]]), "a place is a list of name, c_in, c_out, kernel"),
        (inside(places=[["one", 16, 32, 2, 1, 1, 8, 8]]), "one: as_is: kernel must be odd"),
        (inside(places=[["one", 16, 32, 3, 1, 5, 8, 8]]), "5 groups do not divide 16 channels"),
        (inside(places=[["one", 16, 32, 3, 1, 1, 8, 8]] * 2), "a backbone names a place twice"),
    ],
)
def test_what_is_no_architecture_is_one_line(data: object, line: str) -> None:
    with pytest.raises(InvalidArchitectureError) as raised:
        read_architecture(data)
    assert line in str(raised.value)
