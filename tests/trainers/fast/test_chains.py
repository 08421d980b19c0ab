"""Chains of group convolutions and shuffles computed another way in training: the same function."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from nas_space.convs import parse
from nas_space.weights import through
from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import close, outputs_and_gradients, rows, unlike, way
from trainers.fast import for_training, training
from trainers.fast.chains import Chain
from trainers.fast.kernels.mixing import KERNELS, MixingFunction
from trainers.fast.sequences import Steps

compiled = pytest.mark.skipif(not KERNELS.exist(), reason="no C compiler")
CHAINS = ["igc(L=8,M=4)", "igc(L=2,M=16)", "igcv2(K1=1,K2=8,K3=4)", "igcv2(K1=2,K2=4,K3=2,K4=2)"]
WAYS = ["parts", "dense", pytest.param("mixed", marks=compiled)]


def layer(label: str, c_in: int = 32, c_out: int = 32, stride: int = 1) -> nn.Sequential:
    module = parse(label).build(c_in, c_out, stride)
    assert isinstance(module, nn.Sequential)
    return module


def chain_of(module: nn.Sequential) -> Chain:
    """What follows the first convolution of a layer."""
    chain = Chain.found(list(module)[1:])
    assert chain is not None
    return chain


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("label", CHAINS)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_computes_what_its_parts_do_by_each_algorithm(
    label: str, stride: int, name: str, favour: Write
) -> None:
    favour(name)
    torch.manual_seed(0)
    module = layer(label, stride=stride)
    fast, x = for_training(module), rows(2, 32, 6, 5)
    assert close(outputs_and_gradients(fast, x), outputs_and_gradients(module, x), 1e-4)
    fast.eval()
    assert torch.equal(fast(x), module.eval()(x))


@pytest.mark.parametrize("label", CHAINS)
def test_a_folded_chain_computes_what_its_parts_do_in_double_precision(label: str) -> None:
    torch.manual_seed(0)
    parts = list(layer(label).double())[1:]
    x = torch.randn(2, 32, 6, 5, dtype=torch.double)
    weights = [part.weight for part in parts if isinstance(part, nn.Conv2d)]

    def dense(x: Tensor) -> Tensor:
        return nn.functional.conv2d(
            x, through(parts, torch.eye(32, dtype=torch.double))[:, :, None, None]
        )

    found = outputs_and_gradients(dense, x, *weights)
    assert close(found, outputs_and_gradients(nn.Sequential(*parts), x), 1e-12)


@pytest.mark.parametrize("label", CHAINS)
def test_a_folded_chain_is_one_dense_matrix(label: str) -> None:
    parts = list(layer(label))[1:]
    matrix = through(parts, torch.eye(32))
    unit = torch.eye(32).view(32, 32, 1, 1)
    for part in parts:
        unit = part(unit)
    assert torch.allclose(matrix.T, unit.view(32, 32), atol=1e-6)


@pytest.mark.parametrize("name", WAYS)
def test_a_chain_trains_in_mixed_precision(name: str, favour: Write) -> None:
    favour(name)
    torch.manual_seed(0)
    module = layer("igcv2(K1=1,K2=8,K3=4)")
    x = rows(4, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = for_training(module)(x)
    assert y.dtype is torch.bfloat16
    y.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in module.parameters())
    assert torch.allclose(y.float(), module(x), atol=0.05 * float(y.detach().abs().max()))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_mixed_precision_gives_has_the_type_that_torch_gives_it(
    name: str, dtype: torch.dtype, favour: Write
) -> None:
    favour(name)
    alone = nn.Sequential(*list(layer("igc(L=8,M=4)"))[1:])
    fast, x = for_training(alone), rows(2, 32, 4, 4).to(dtype)
    for cast in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", cast):
            assert fast(x).dtype is alone(x).dtype


@pytest.mark.parametrize("name", WAYS)
def test_maps_in_another_precision_than_weights_are_refused_as_torch_does(
    name: str, favour: Write
) -> None:
    favour(name)
    alone = nn.Sequential(*list(layer("igc(L=8,M=4)"))[1:])
    for dtype in (torch.bfloat16, torch.double):
        with pytest.raises(RuntimeError, match=r"should be the same|expected scalar type"):
            for_training(alone)(rows(2, 32, 4, 4).to(dtype))


@pytest.mark.parametrize("name", WAYS)
def test_no_images_have_no_output(name: str, favour: Write) -> None:
    favour(name)
    assert for_training(layer("igc(L=8,M=4)"))(rows(0, 32, 4, 4)).shape == (0, 32, 4, 4)


@compiled
@settings(max_examples=80)
@given(
    inner=st.integers(1, 9),
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    outer=st.integers(1, 3),
    images=st.integers(1, 3),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    half=st.booleans(),
)
def test_the_kernel_computes_what_group_convolutions_and_shuffles_do(
    inner: int,
    widths: list[int],
    outer: int,
    images: int,
    size: tuple[int, int],
    *,
    half: bool,
) -> None:
    torch.manual_seed(0)
    channels = inner * outer * math.prod(widths)
    weights = [torch.randn(channels, width, 1, 1, requires_grad=True) for width in widths]
    x = rows(images, channels, *size, half=half).requires_grad_()
    y = MixingFunction.apply(x, inner, *weights)
    exact = nn.functional.channel_shuffle(x.double(), channels // inner)
    for weight in weights:
        groups = channels // weight.shape[1]
        exact = nn.functional.conv2d(exact, weight.double(), groups=groups)
        exact = nn.functional.channel_shuffle(exact, groups)
    # What no stage mixes has come to the front.
    exact = nn.functional.channel_shuffle(exact, channels // outer)
    dy = torch.randn(y.shape).to(y.dtype)
    found = [y, *torch.autograd.grad(y, [x, *weights], dy)]
    wanted = [exact, *torch.autograd.grad(exact, [x, *weights], dy.double())]
    assert y.dtype is x.dtype
    assert close(
        [a.detach().double() for a in found],
        [a.detach().double() for a in wanted],
        0.01 if half else 1e-5,
    )


@compiled
@pytest.mark.parametrize("label", ["igc(L=12,M=8)", "igcv2(K1=2,K2=4,K3=4,K4=3)"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_mixed_chain_computes_what_its_parts_do(label: str, stride: int, favour: Write) -> None:
    favour("mixed")
    torch.manual_seed(0)
    module, x = layer(label, 48, 96, stride), rows(4, 48, 6, 5)
    fast = for_training(module)
    assert way(fast(x)) == "MixingFunctionBackward"
    assert close(outputs_and_gradients(fast, x), outputs_and_gradients(module, x), 1e-4)


@compiled
def test_a_hook_that_gives_saved_tensors_back_otherwise_in_memory_changes_nothing(
    favour: Write,
) -> None:
    favour("mixed")
    chain, x = chain_of(layer("igcv2(K1=2,K2=4,K3=2,K4=2)")), rows(3, 32, 5, 6).requires_grad_()
    given_ = [x, *(conv.weight for conv in chain.convs)]
    dy = rows(3, 32, 5, 6)
    expected = torch.autograd.grad(chain(x), given_, dy)
    with saved_tensors_hooks(lambda saved: saved, unlike):
        y = chain(x)
    assert way(y) == "MixingFunctionBackward"
    for one, other in zip(torch.autograd.grad(y, given_, unlike(dy)), expected, strict=True):
        assert torch.equal(one, other)


@compiled
def test_weights_on_another_device_than_the_maps_are_left_to_torch(favour: Write) -> None:
    favour("mixed")
    module = layer("igcv2(K1=2,K2=4,K3=2,K4=2)")
    chain, x = chain_of(module), rows(3, 32, 5, 6)
    module.to("meta")
    assert way(chain(x)) != "MixingFunctionBackward"


@compiled
def test_frozen_weights_are_allowed_it_is_used_twice_and_has_no_second_derivative(
    favour: Write,
) -> None:
    favour("mixed")
    module = layer("igc(L=8,M=4)")
    module[2].requires_grad_(False)
    fast, x = for_training(module), rows(2, 32, 5, 5).requires_grad_()
    (fast(x) + fast(x)).sum().backward()
    assert x.grad is not None
    assert module[2].weight.grad is None
    (dx,) = torch.autograd.grad(fast(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]


@compiled
def test_other_chains_and_maps_are_computed_in_parts_or_refused(favour: Write) -> None:
    favour("mixed")
    last = nn.Conv2d(32, 32, 1, groups=8, bias=False)  # in groups of 4, not of 8
    other = nn.Sequential(nn.ChannelShuffle(8), last, nn.ChannelShuffle(8))
    x = rows(2, 32, 4, 4)
    assert way(for_training(other)(x)) != "MixingFunctionBackward"
    fast = for_training(layer("igc(L=8,M=4)"))
    assert way(fast(x)) == "MixingFunctionBackward"
    with pytest.raises(RuntimeError, match="channels"):
        fast(rows(2, 16, 4, 4))
    wide = chain_of(layer("igc(L=8,M=4)"))
    with pytest.raises(RuntimeError, match="channels"):
        wide(rows(2, 16, 4, 4))
    assert fast.double()(x.double()).dtype is torch.double


@pytest.mark.parametrize("name", WAYS)
def test_rows_of_pixels_give_the_same(name: str, favour: Write) -> None:
    favour(name)
    torch.manual_seed(0)
    module, x = layer("igc(L=8,M=4)"), rows(2, 32, 4, 5).contiguous()
    found = outputs_and_gradients(for_training(module), x)
    assert close(found, outputs_and_gradients(module, x), 1e-4)


def conv(groups: int = 4, **other: bool) -> nn.Conv2d:
    return nn.Conv2d(32, 32, 1, groups=groups, bias=other.get("bias", False))


def test_a_chain_is_found_where_there_is_one() -> None:
    shuffle, more = nn.ChannelShuffle(8), nn.ChannelShuffle(4)
    pointwise, second = conv(), conv(8)
    found = Chain.found([shuffle, pointwise, more, second, shuffle, nn.ReLU()])
    assert found is not None
    assert found.parts == (shuffle, pointwise, more, second, shuffle)
    assert found.convs == (pointwise, second)
    assert found.digits == (8, 4)
    assert found.inner == 4
    # A convolution without a shuffle behind it belongs to no chain.
    found = Chain.found([shuffle, pointwise, more, second])
    assert found is not None
    assert found.parts == (shuffle, pointwise, more)


def watched(module: nn.Module) -> nn.Module:
    module.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.parametrize(
    "modules",
    [
        [],
        [nn.ChannelShuffle(8)],
        [nn.ChannelShuffle(8), conv()],
        [conv(), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), conv(bias=True), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), nn.Conv2d(32, 32, 1, 2, bias=False), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), nn.Conv2d(32, 64, 1, bias=False), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), nn.ReLU(), nn.ChannelShuffle(4)],
        [watched(nn.ChannelShuffle(8)), conv(), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), watched(conv()), nn.ChannelShuffle(4)],
        [nn.ChannelShuffle(8), conv(), watched(nn.ChannelShuffle(4))],
    ],
    ids=lambda modules: ",".join(type(module).__name__ for module in modules),
)
def test_what_is_no_chain_stays_what_it_is(modules: list[nn.Module]) -> None:
    assert Chain.found(modules) is None


def test_a_hook_within_a_chain_sees_what_it_would(favour: Write) -> None:
    favour("dense")
    module, seen = layer("igc(L=8,M=4)"), list[torch.Size]()
    module[2].register_forward_hook(lambda _m, _i, y: seen.append(y.shape))
    for_training(module)(rows(2, 32, 4, 4))
    assert seen == [torch.Size([2, 32, 4, 4])]


def test_a_layer_of_a_type_runs_in_fewer_steps() -> None:
    fast = for_training(layer("igcv2(K1=2,K2=4,K3=2,K4=2)"))
    with training(fast):
        assert isinstance(steps := vars(fast)["forward"], Steps)
    assert len(steps._steps) == 2
