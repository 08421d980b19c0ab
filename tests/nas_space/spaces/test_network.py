"""Networks: built from an architecture, costing what the closed form says."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_space.convs import InvalidChoiceError
from nas_space.costs.by_thop import thop_count
from nas_space.costs.cost import Cost, Task, predict
from nas_space.costs.counting import count
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get, spaces
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.skeletons import read_architecture
from tests.examples import SMALL_PHOTO


def example(space: ResidualSpace, seed: int = 0) -> Architecture:
    chance = random.Random(seed)
    return space.decode({p.name: chance.choice(p.labels) for p in space.parameters})


@pytest.mark.parametrize("space", sorted(set(spaces()) - {"photo"}))
@pytest.mark.parametrize("size", [(8, 8), (15, 9)], ids=str)
def test_predicted_cost_is_what_thop_and_torch_count(space: str, size: tuple[int, int]) -> None:
    architecture = example(get(space))
    network = build(architecture, 3, 10)
    cost = predict(architecture, Task(3, size, 10))
    assert count(network, (3, *size)) == thop_count(network, (3, *size)) == cost


@pytest.mark.parametrize("space", [get("mixed"), SMALL_PHOTO], ids=["mixed", "photo"])
@given(st.integers(0, 10**6), st.sampled_from([(7, 5), (9, 8), (13, 2), (1, 1)]))
@settings(max_examples=25)
def test_so_is_that_of_any_network_with_pooled_wider_and_separable_layers(
    space: ResidualSpace, seed: int, size: tuple[int, int]
) -> None:
    architecture = example(space, seed)
    assert count(build(architecture, 3, 10), (3, *size)) == predict(architecture, Task(3, size, 10))


def test_a_pooled_stage_of_separable_blocks_costs_what_its_arithmetic_says() -> None:
    block = ["regular(kernel=1)", "separable"]
    stages = [{"width": 8, "blocks": [block], "down": "pooled", "hidden": 32}]
    data = {"format": 1, "skeleton": "residual", "stem": "regular", "stages": stages}
    architecture = read_architecture(data)
    inside = 8 * 32 + (9 + 2 + 8) * 32  # the 1×1, the 3×3 with its own BN, and the second 1×1
    bn = 2 * (8 + 32 + 8)
    assert predict(architecture, Task(3, (7, 5), 10)) == Cost(
        params=9 * 3 * 8 + inside + bn + 8 * 10 + 10,
        macs=9 * 3 * 8 * 35 + (8 * 32 + (9 + 8) * 32) * 4 * 3 + 8 * 10,
    )
    assert count(build(architecture, 3, 10), (3, 7, 5)) == predict(
        architecture, Task(3, (7, 5), 10)
    )


def test_a_stem_that_halves_the_image_costs_what_its_arithmetic_says() -> None:
    stages = [{"width": 8, "blocks": [["regular", "regular"]]}]
    data = {"format": 1, "skeleton": "residual", "stem": "blueprint/2", "stages": stages}
    architecture, task = read_architecture(data), Task(3, (7, 5), 10)
    inside = 2 * 9 * 8 * 8
    assert predict(architecture, task) == Cost(
        params=3 * 8 + 9 * 8 + inside + 2 * 3 * 8 + 8 * 10 + 10,
        macs=3 * 8 * 35 + (9 * 8 + inside) * 4 * 3 + 8 * 10,
    )
    assert count(build(architecture, 3, 10), (3, 7, 5)) == predict(architecture, task)


def test_no_activation_follows_the_addition_where_the_inside_is_wider() -> None:
    data = {"format": 1, "skeleton": "residual", "stem": "regular"}
    for hidden, kept in ((8, False), (16, True), (4, False)):
        stage = {"width": 8, "blocks": [["regular", "regular"]], "hidden": hidden}
        network = build(read_architecture({**data, "stages": [stage]}), 3, 10)
        seen: list[torch.Tensor] = []
        blocks = network.get_submodule("blocks")
        blocks.register_forward_hook(lambda _module, _args, out, seen=seen: seen.append(out))
        network(torch.randn(4, 3, 8, 8))
        assert bool((seen[0] < 0).any()) == kept


def test_a_resnet_20_costs_what_is_known_of_it() -> None:
    # RegConv-W16 with identity shortcuts and dense projections, depth 20: the IGC authors' code.
    stage = {"blocks": [["regular", "regular"]] * 3}
    stages = [{"width": width, **stage} for width in (16, 32, 64)]
    data = {"format": 1, "skeleton": "residual", "stem": "regular", "stages": stages}
    cost = predict(read_architecture(data), Task(3, (32, 32), 10))
    assert cost == Cost(params=272_474, macs=40_813_184)


def test_counting_leaves_the_module_as_it_was() -> None:
    network = build(example(get("mixed")), 3, 10)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count(network, (3, 8, 8))
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(module.training for module in network.modules())
    assert not any(m._forward_hooks or hasattr(m, "total_ops") for m in network.modules())


def test_building_is_deterministic_and_leaves_the_global_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    first, second, other = (build(example(get("mixed")), 3, 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = [(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (7, 7), (32, 32)], ids=str)
def test_it_takes_images_of_any_size(size: tuple[int, int]) -> None:
    network = build(example(get("mixed")), 1, 4).eval()
    assert network(torch.randn(2, 1, *size)).shape == (2, 4)


@pytest.mark.parametrize(("channels", "classes"), [(0, 10), (3, 0)])
def test_an_impossible_task_is_refused(channels: int, classes: int) -> None:
    with pytest.raises(InvalidChoiceError, match="cannot build for"):
        build(example(get("mixed")), channels, classes)


def test_a_stem_that_cannot_take_the_image_is_refused() -> None:
    data = {**example(get("regular")).to_json(), "stem": "deep_roots(groups=2)"}
    with pytest.raises(InvalidChoiceError, match="2 groups do not divide 3 channels"):
        build(read_architecture(data), 3, 10)
