"""Chains of group convolutions computed another way in training: the same function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_space.grouped import GroupConv2d
from nas_space.interleaved import Interleaved, folded
from nas_space.kernels.mixing import MixingFunction, kernels
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas_space.convs import parse
from tests.nas_space.twins import close, outputs_and_gradients, plain

compiled = pytest.mark.skipif(kernels() is None, reason="no C compiler")
CHAINS = ["igc(L=8,M=4)", "igc(L=2,M=16)", "igcv2(K1=1,K2=8,K3=4)", "igcv2(K1=2,K2=4,K3=2,K4=2)"]


def chain_of(label: str, c_in: int = 32, c_out: int = 32, stride: int = 1) -> Interleaved:
    chain = parse(label).build(c_in, c_out, stride)
    assert isinstance(chain, Interleaved)
    return chain


def maps(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("label", CHAINS)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_folded_chain_computes_what_its_parts_do(label: str, stride: int) -> None:
    torch.manual_seed(0)
    chain = parse(label).build(32, 32, stride).double()
    x = torch.randn(2, 32, 6, 5, dtype=torch.double)
    assert close(outputs_and_gradients(chain, x), outputs_and_gradients(plain(chain), x), 1e-12)
    chain.eval()
    assert torch.equal(chain(x), plain(chain)(x))


@pytest.mark.parametrize("label", CHAINS)
def test_a_folded_chain_is_one_dense_matrix(label: str) -> None:
    chain = parse(label).build(32, 32)
    assert isinstance(chain, Interleaved)
    matrix = folded(list(chain)[1:], 32)
    unit = torch.eye(32).view(32, 32, 1, 1)
    for part in list(chain)[1:]:
        unit = part(unit)
    assert torch.allclose(matrix.T, unit.view(32, 32), atol=1e-6)


def test_a_wide_chain_runs_part_by_part() -> None:
    chain = parse("igc(L=64,M=4)").build(256, 256)
    seen: list[torch.Size] = []
    chain[3].register_forward_hook(lambda _m, _i, y: seen.append(y.shape))  # type: ignore[index]
    chain(torch.randn(2, 256, 4, 4))
    assert seen == [torch.Size([2, 256, 4, 4])]


def test_who_counts_operations_sees_the_definition() -> None:
    chain = parse("igc(L=8,M=4)").build(32, 32)
    with FlopCounterMode(display=False) as counter:
        chain(torch.randn(1, 32, 8, 8))
    assert counter.get_total_flops() == 2 * parse("igc(L=8,M=4)").macs(32, 32, (8, 8))


def test_a_chain_trains_in_mixed_precision() -> None:
    torch.manual_seed(0)
    chain = parse("igcv2(K1=1,K2=8,K3=4)").build(32, 32)
    x = torch.randn(4, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = chain(x)
    y.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in chain.parameters())
    assert torch.allclose(y.float(), plain(chain)(x), atol=0.05 * float(y.detach().abs().max()))


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
    channels = inner * outer
    for width in widths:
        channels *= width
    weights = [torch.randn(channels, width, 1, 1, requires_grad=True) for width in widths]
    x = maps(images, channels, *size).to(torch.bfloat16 if half else torch.float32).requires_grad_()
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
def test_a_mixed_chain_computes_what_its_parts_do(label: str, stride: int) -> None:
    torch.manual_seed(0)
    chain, x = chain_of(label, 48, 96, stride), maps(4, 48, 6, 5)
    assert next(iter(chain.ways(x))) == "mixed"
    assert type(chain(x).grad_fn).__name__ == "MixingFunctionBackward"
    assert close(outputs_and_gradients(chain, x), outputs_and_gradients(plain(chain), x), 1e-4)


@compiled
@pytest.mark.parametrize(
    ("label", "width", "side", "half", "way"),
    [
        ("igc(L=16,M=2)", 32, 8, False, "mixed"),
        ("igc(L=16,M=2)", 32, 16, False, "dense"),
        ("igc(L=8,M=4)", 32, 16, False, "mixed"),
        ("igc(L=128,M=2)", 256, 16, False, "mixed"),
        ("igc(L=8,M=4)", 32, 8, True, "dense"),
        ("igc(L=8,M=4)", 32, 4, True, "mixed"),
        ("igc(L=32,M=8)", 256, 8, True, "parts"),
    ],
)
def test_the_fastest_way_is_chosen(
    label: str, width: int, side: int, half: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_space.interleaved.multiplies_matrices", lambda: False)
    chain, x = chain_of(label, width, width), maps(2, width, side, side)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        assert next(iter(chain.ways(x.bfloat16() if half else x))) == way


@compiled
def test_wider_chains_are_dense_where_a_cpu_multiplies_matrices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas_space.interleaved.multiplies_matrices", lambda: True)
    chain, x = chain_of("igc(L=32,M=8)", 256, 256), maps(2, 256, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert next(iter(chain.ways(x.bfloat16()))) == "dense"
    assert next(iter(chain.ways(x))) == "mixed"


@compiled
def test_other_chains_and_maps_are_left_to_torch() -> None:
    wide = GroupConv2d(32, 32, 3, 1, 1, groups=8, bias=False)
    last = GroupConv2d(32, 32, 1, groups=8, bias=False)  # in groups of 4, not of 8
    other = Interleaved(wide, nn.ChannelShuffle(8), last, nn.ChannelShuffle(8))
    assert "mixed" not in other.ways(maps(2, 32, 4, 4))
    chain = chain_of("igc(L=8,M=4)")
    assert "mixed" in chain.ways(maps(2, 32, 4, 4))
    assert "mixed" not in chain.ways(torch.randn(2, 32, 4, 4)), "rows of pixels"
    assert "mixed" not in chain.ways(maps(2, 16, 4, 4)), "too few channels"
    torch.set_num_threads(2)
    try:
        assert "mixed" not in chain.ways(maps(2, 32, 4, 4))
    finally:
        torch.set_num_threads(1)
