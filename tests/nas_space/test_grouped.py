"""Group convolutions computed another way in training are the same function, and train alike."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas_space.convs import parse
from nas_space.grouped import GroupConv2d, Interleaved, block_diagonal, folded

CHAINS = ["igc(L=8,M=4)", "igc(L=2,M=16)", "igcv2(K1=1,K2=8,K3=4)", "igcv2(K1=2,K2=4,K3=2,K4=2)"]


def plain(module: nn.Module) -> nn.Module:
    """The same parameters in torch's own modules, which know no other way."""
    if isinstance(module, Interleaved):
        return nn.Sequential(*map(plain, module))
    if isinstance(module, GroupConv2d):
        same = copy.deepcopy(module)
        same.__class__ = nn.Conv2d  # type: ignore[assignment]
        return same
    return module


def outputs_and_gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = module(x)
    torch.manual_seed(1)
    return [y.detach(), *torch.autograd.grad(y, [x, *module.parameters()], torch.randn_like(y))]


def close(one: list[Tensor], other: list[Tensor], tolerance: float) -> bool:
    return all(
        torch.allclose(a, b, atol=tolerance * float(b.abs().max()))
        for a, b in zip(one, other, strict=True)
    )


@given(
    groups=st.sampled_from([1, 2, 3, 4, 8, 12]),
    widths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
)
def test_a_group_convolution_computes_what_torchs_own_does(
    groups: int, widths: tuple[int, int], kernel: int, stride: int
) -> None:
    torch.manual_seed(0)
    c_in, c_out = (groups * width for width in widths)
    conv = GroupConv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False).double()
    x = torch.randn(2, c_in, 5, 6, dtype=torch.double)
    assert close(outputs_and_gradients(conv, x), outputs_and_gradients(plain(conv), x), 1e-12)


@pytest.mark.parametrize(
    ("groups", "width", "together"), [(8, 2, 8), (16, 2, 8), (6, 3, 3), (8, 4, 4), (4, 16, 1)]
)
def test_groups_are_computed_up_to_sixteen_channels_together(
    groups: int, width: int, together: int
) -> None:
    channels = groups * width
    assert GroupConv2d(channels, channels, 3, groups=groups, bias=False)._together() == together


def test_a_depthwise_convolution_stays_one() -> None:
    assert GroupConv2d(32, 32, 3, groups=32, bias=False)._together() == 1


def test_a_block_diagonal_kernel_is_zero_where_groups_do_not_meet() -> None:
    weight = torch.ones(8, 2, 1, 1)
    kernel = block_diagonal(weight, groups=4, together=2)
    assert kernel.shape == (8, 4, 1, 1)
    blocks = kernel.view(2, 2, 2, 2, 2)  # groups, block, its outputs, block, its inputs
    assert all(blocks[:, i, :, j].eq(float(i == j)).all() for i in (0, 1) for j in (0, 1))


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


def test_a_strided_depthwise_convolution_in_bf16_is_close_to_fp32() -> None:
    torch.manual_seed(0)
    conv = GroupConv2d(16, 16, 3, 2, 1, groups=16, bias=False)
    x = torch.randn(4, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x.bfloat16())
    assert y.dtype is torch.bfloat16
    assert torch.allclose(y.float(), plain(conv)(x), atol=0.05)


def test_who_counts_operations_sees_the_definition() -> None:
    chain = parse("igc(L=8,M=4)").build(32, 32)
    with FlopCounterMode(display=False) as counter:
        chain(torch.randn(1, 32, 8, 8))
    assert counter.get_total_flops() == 2 * parse("igc(L=8,M=4)").macs(32, 32, (8, 8))


@pytest.mark.parametrize("label", [*CHAINS, "deep_roots(groups=8)", "xception"])
def test_the_names_of_weights_are_those_of_torchs_own_modules(label: str) -> None:
    names = set(parse(label).build(32, 32).state_dict())
    assert names == {f"{number}.weight" for number in range(0, 2 * len(names), 2)} or names == {
        "0.weight",
        "1.weight",
    }


def test_a_chain_trains_in_mixed_precision() -> None:
    torch.manual_seed(0)
    chain = parse("igcv2(K1=1,K2=8,K3=4)").build(32, 32)
    x = torch.randn(4, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = chain(x)
    y.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in chain.parameters())
    assert torch.allclose(y.float(), plain(chain)(x), atol=0.05 * float(y.detach().abs().max()))
