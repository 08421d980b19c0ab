"""What types say of their operations, held to the ONNX graphs of their modules."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.export import Dim

from nas_space.bundle.forms import onnx_model
from nas_space.bundle.int8 import prepared, quantised
from nas_space.convs import TYPES, Conv
from nas_space.costs.cost import Task, predict
from nas_space.costs.operations import RELU, SHUFFLE, SPLIT, Tally
from nas_space.devices import DEVICES, Operators
from nas_space.devices.graph import Graph
from nas_space.inference import for_inference
from nas_space.opsets import OPSET
from nas_space.spaces.building import build
from nas_space.spaces.registry import get
from nas_space.spaces.residual import ResidualSpace
from nas_space.spaces.residual.architecture import ResidualArchitecture
from nas_space.spaces.space import UnknownSpaceError
from tests.examples import SMALL_PHOTO

IMAGE = Task(3, (16, 16), 10)
WIDTHS = (4, 8, 12, 16, 24, 32)


def graph_of(network: nn.Module, shape: tuple[int, int, int]) -> Graph:
    found = onnx_model.converted(network.eval(), torch.zeros(1, *shape), opset=OPSET)
    return Graph.read(found.model_proto.SerializeToString())


def settings_of(kind: str) -> Iterator[tuple[Conv, int]]:
    for conv in TYPES.get(kind).settings(8, 16):
        yield from ((conv, stride) for stride in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*TYPES])
def test_a_type_names_the_operations_of_its_exported_graph(kind: str) -> None:
    for conv, stride in [*settings_of(kind)][:4]:
        graph = graph_of(conv.build(8, 16, stride), (8, 8, 8))
        said = conv.operations(8, 16, stride)
        assert said is not None
        assert sorted(map(str, graph.operations)) == sorted(map(str, said))


@given(kind=st.sampled_from([*TYPES]), c_in=st.sampled_from(WIDTHS), c_out=st.sampled_from(WIDTHS))
@settings(max_examples=100, deadline=None)
def test_the_weights_of_its_operations_are_the_weights_of_a_type(
    kind: str, c_in: int, c_out: int
) -> None:
    for conv in (
        *TYPES.get(kind).settings(c_in, c_out),
        *TYPES.get(kind).pointwise_settings(c_in, c_out),
    ):
        for stride in (1, 2):
            said = conv.operations(c_in, c_out, stride) or ()
            norms = 2 * c_in * any(op.name == RELU for op in said)
            assert Tally.of(said).weights + norms == conv.params(c_in, c_out)
            assert all(op.c_in % op.groups == op.c_out % op.groups == 0 for op in said)


def random_network(space: ResidualSpace, seed: int) -> ResidualArchitecture:
    chance = random.Random(seed)
    return space.decode({p.name: chance.choice(p.labels) for p in space.parameters})


class Normalised(nn.Module):
    """A network that normalises its images, as an exported one."""

    mean: torch.Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network((images - self.mean) / 0.25)
        return logits


def exported(architecture: ResidualArchitecture) -> bytes:
    network = for_inference(Normalised(build(architecture, 3, 10).eval()).eval())
    shapes = ({0: Dim("batch")},)
    program = torch.export.export(network, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes)
    return onnx_model.write(program, "{}", OPSET)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("space", [get("mixed"), SMALL_PHOTO], ids=lambda space: space.name)
def test_an_exported_network_takes_no_more_than_was_said_before_its_training(
    space: ResidualSpace, seed: int
) -> None:
    architecture = random_network(space, seed)
    cost, said = predict(architecture, IMAGE), {op.name for op in architecture.operations(IMAGE)}
    pixels = np.random.default_rng(seed).random((8, 3, 16, 16), dtype=np.float32)
    model = exported(architecture)
    assert cost.tally is not None
    assert cost.activation_memory is not None
    for content in (model, quantised(prepared(model), pixels)):
        graph = Graph.read(content)
        # Chains of convolutions are merged, so there may be fewer, and dense ones.
        assert {op.name for op in graph.operations} <= said | {"convolution"}
        # Maps of odd sides are cut after an upsampling, which the closed form does not count.
        counted = [op for op in graph.operations if op.name != SPLIT]
        allowed = [op for op in architecture.operations(IMAGE) if op.name != SPLIT]
        assert Tally.of(counted).operations <= Tally.of(allowed).operations
        # Images themselves, normalised, are the one map that the closed form leaves out.
        images = 3 * 16 * 16
        assert graph.maps_bytes(int8=True) <= cost.activation_memory // 4 + images


def test_int8_maps_take_a_byte_and_those_of_layers_left_in_float_take_four() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
    found = onnx_model.converted(network.eval(), torch.zeros(1, 3, 8, 8), opset=OPSET)
    model = found.model_proto.SerializeToString()
    pixels = np.random.default_rng(0).random((1, 3, 8, 8), dtype=np.float32)
    fp32, whole = Graph.read(model), Graph.read(quantised(prepared(model), pixels))
    part = Graph.read(quantised(prepared(model), pixels, ["2"]))
    size = 8 * 8
    assert fp32.maps_bytes(int8=False) == 4 * 12 * size
    assert fp32.maps_bytes(int8=True) == 12 * size
    assert not fp32.is_int8
    assert whole.is_int8
    weights = 9 * (3 * 8 + 8 * 4)
    assert (fp32.weights_bytes(int8=False), fp32.weights_bytes(int8=True)) == (4 * weights, weights)
    assert whole.weights_bytes(int8=False) == weights
    assert part.weights_bytes(int8=False) == 9 * (3 * 8 + 4 * 8 * 4)
    assert whole.maps_bytes(int8=False) < part.maps_bytes(int8=False) <= 4 * 12 * size


def test_an_operation_that_no_profile_knows_keeps_its_name_of_onnx() -> None:
    class Gate(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * torch.sigmoid(images)

    graph = graph_of(nn.Sequential(nn.Conv2d(3, 4, 1), Gate()), (3, 4, 4))
    assert "Sigmoid" in {op.name for op in graph.operations}
    assert DEVICES.get("pico").operators.obstacles(graph.operations) == ("no Sigmoid", "no Mul")


@pytest.mark.parametrize("space", ["mixed", "photo"])
def test_the_part_of_a_space_for_a_runtime_proposes_nothing_that_it_lacks(space: str) -> None:
    operators = DEVICES.get("esp32-s3").operators
    part = get(space).on(operators, 3)
    assert "igc" not in part.kinds
    assert "regular" in part.kinds
    for seed in range(30):
        assert not operators.obstacles(random_network(part, seed).operations(IMAGE))
    for network in (*part.by_hand(), *part.uniform(), *part.inverted()):
        assert not operators.obstacles(network.operations(IMAGE))
    assert {network.by_hand for network in part.by_hand()} < {
        network.by_hand for network in get(space).by_hand()
    }
    assert part.size() < get(space).size()
    labels = part.encode(random_network(part, 0))
    assert labels is not None
    assert part.decode(labels) == random_network(part, 0)


def test_a_runtime_that_has_all_leaves_the_space_as_it_is() -> None:
    space = get("mixed")
    assert space.on(Operators(), 3) is space
    assert space.on(DEVICES.get("pico").operators, 3).kinds == space.kinds
    assert "operators" not in space.on(DEVICES.get("pico").operators, 3).to_json()


def test_without_pooling_maps_are_halved_by_strides_alone() -> None:
    has = DEVICES.get("pico").operators.has or ()
    part = get("mixed").on(Operators(tuple(n for n in has if n != "average pool")), 3)
    assert part.downs == ("strided",)
    assert part.entries == ("none",)
    assert "octave" not in part.kinds


@pytest.mark.parametrize(
    ("space", "has", "said"),
    [
        ("igc", DEVICES.get("esp32-s3").operators.has, "no grouped convolution"),
        ("mixed", ("convolution", "relu", "mean", "linear", "scale"), "no add"),
        ("igc", None, "no 16 groups"),
    ],
)
def test_a_space_of_which_nothing_is_left_is_refused(
    space: str, has: tuple[str, ...] | None, said: str
) -> None:
    operators = Operators(has, most_groups=None if has else 1)
    with pytest.raises(UnknownSpaceError, match=rf"no network of the space {space} runs there.*"):
        get(space).on(operators, 3)
    with pytest.raises(UnknownSpaceError, match=said):
        get(space).on(operators, 3)


def test_shuffles_are_operations_of_their_own() -> None:
    has = DEVICES.get("pico").operators.has or ()
    part = get("mixed").on(Operators(tuple(n for n in has if n != SHUFFLE)), 3)
    assert not {"igc", "igcv2"} & {*part.kinds}
    assert "deep_roots" in part.kinds
