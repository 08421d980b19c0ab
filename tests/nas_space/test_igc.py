"""Identities of interleaved group convolutions (arXiv 1707.02725)."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_space.convs.deep_roots import DeepRoots
from nas_space.convs.igc import IGC
from nas_space.convs.regular import Regular
from nas_space.convs.xception import Xception

Double = torch.double
FIGURE_3 = json.loads((Path(__file__).parents[1] / "data" / "papers.json").read_text())["figure_3"]
small = st.integers(1, 6)


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


def dense_kernel(conv: nn.Conv2d) -> Tensor:
    """The kernel of the dense convolution that a group convolution is: block diagonal."""
    blocks = conv.weight.chunk(conv.groups)
    out, inside = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    kernel = torch.zeros(conv.out_channels, conv.in_channels, *conv.kernel_size, dtype=Double)
    for g, block in enumerate(blocks):
        kernel[g * out : (g + 1) * out, g * inside : (g + 1) * inside] = block
    return kernel


@settings(max_examples=30)
@given(partitions=small, channels=small, stride=st.sampled_from([1, 2]))
def test_it_equals_one_dense_convolution_with_the_product_of_its_sparse_kernels(
    partitions: int, channels: int, stride: int
) -> None:
    width = partitions * channels
    module = IGC(L=partitions, M=channels).build(width, width, stride).double()
    primary, secondary = convolutions(module)
    # P^T sends channel l·M + m to m·L + l, as in the authors' reorder operator.
    order = torch.arange(width).view(partitions, channels).t().flatten()
    permutation = torch.eye(width, dtype=Double)[order]
    composite = torch.einsum(
        "ab,bc,cd,deij->aeij",
        permutation.t(),
        dense_kernel(secondary)[:, :, 0, 0],
        permutation,
        dense_kernel(primary),
    )
    x = torch.randn(2, width, 5, 5, dtype=Double)
    expected = nn.functional.conv2d(x, composite, stride=stride, padding=1)
    assert torch.allclose(module(x), expected, atol=1e-10)
    assert (composite.abs().sum(dim=(2, 3)) > 0).all(), "the composite kernel is dense"


@given(partitions=small, channels=small, size=st.integers(1, 9))
def test_cost_is_that_of_the_paper(partitions: int, channels: int, size: int) -> None:
    width = partitions * channels
    conv = IGC(L=partitions, M=channels)
    params = partitions * channels**2 * 9 + channels * partitions**2
    assert conv.params(width, width) == params
    assert conv.macs(width, width, (size, size)) == params * size * size


def test_with_one_channel_a_partition_it_is_xceptions() -> None:
    igc = IGC(L=8, M=1).build(8, 8).double()
    xception = Xception().build(8, 8).double()
    with torch.no_grad():
        for mine, theirs in zip(convolutions(igc), convolutions(xception), strict=True):
            theirs.weight.copy_(mine.weight)
    x = torch.randn(1, 8, 6, 6, dtype=Double)
    assert torch.allclose(igc(x), xception(x), atol=1e-12)
    assert IGC(L=8, M=1).params(8, 8) == Xception().params(8, 8)


def test_with_one_partition_it_is_regular_with_a_scale_a_channel() -> None:
    igc = IGC(L=1, M=8).build(8, 8).double()
    primary, secondary = convolutions(igc)
    regular = Regular().build(8, 8).double()
    assert isinstance(regular, nn.Conv2d)
    with torch.no_grad():
        regular.weight.copy_(primary.weight * secondary.weight.view(-1, 1, 1, 1))
    x = torch.randn(1, 8, 6, 6, dtype=Double)
    assert torch.allclose(igc(x), regular(x), atol=1e-12)


def test_a_regular_convolution_is_igc_of_its_doubled_input_with_cross_summation() -> None:
    # The authors' figure: branches W11, W12, W21, W22 of (x1, x2, x1, x2), summed crosswise.
    half = 3
    regular = Regular().build(2 * half, 2 * half).double()
    igc = IGC(L=4, M=half).build(4 * half, 4 * half).double()
    primary, secondary = convolutions(igc)
    assert isinstance(regular, nn.Conv2d)
    w = regular.weight
    crossing = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]] * 2, dtype=Double)
    with torch.no_grad():
        parts = [w[:half, :half], w[:half, half:], w[half:, :half], w[half:, half:]]
        primary.weight.copy_(torch.cat(parts))
        secondary.weight.copy_(crossing.repeat(half, 1)[..., None, None])
    x = torch.randn(1, 2 * half, 5, 5, dtype=Double)
    doubled = igc(torch.cat([x, x], dim=1))
    assert torch.allclose(doubled, torch.cat([regular(x), regular(x)], dim=1), atol=1e-12)


@given(partitions=st.integers(2, 40), channels=st.integers(1, 40))
def test_it_is_wider_than_regular_at_equal_cost_when_the_paper_says_so(
    partitions: int, channels: int
) -> None:
    width = partitions * channels
    regular_width = (IGC(L=partitions, M=channels).params(width, width) / 9) ** 0.5
    claim = partitions / (partitions - 1) < channels * 9
    # Exactly equal widths are neither.
    if abs(width - regular_width) > 1e-9:
        assert (width > regular_width) == claim


@pytest.mark.parametrize(("partitions", "channels", "width", "params"), FIGURE_3)
def test_blocks_of_the_papers_figure_3_cost_what_they_should(
    partitions: int, channels: int, width: int, params: int
) -> None:
    assert partitions * channels == width
    assert IGC(L=partitions, M=channels).params(width, width) == params


def test_the_widest_blocks_of_figure_3_are_the_papers() -> None:
    for costs, widest in ((range(4620, 4785), (28, 3)), (range(17280, 17837), (41, 5))):
        blocks = [(width, (a, b)) for a, b, width, params in FIGURE_3 if params in costs]
        assert max(blocks)[1] == widest


@given(partitions=st.integers(1, 60), channels=st.integers(1, 20))
def test_no_width_exceeds_the_papers_bound_which_nine_partitions_a_channel_meet(
    partitions: int, channels: int
) -> None:
    def bound(params: int) -> float:
        return float((params / (2 * 9**0.5)) ** (2 / 3))

    width = partitions * channels
    assert width <= bound(IGC(L=partitions, M=channels).params(width, width)) + 1e-9
    widest = 9 * channels * channels
    params = IGC(L=9 * channels, M=channels).params(widest, widest)
    assert widest == pytest.approx(bound(params))


@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(8, 16, 2), (16, 8, 1), (12, 24, 2)])
def test_a_change_of_width_keeps_the_partitions_and_widens_them(
    c_in: int, c_out: int, stride: int
) -> None:
    primary, secondary = convolutions(IGC(L=4, M=c_out // 4).build(c_in, c_out, stride))
    assert (primary.groups, primary.stride) == (4, (stride, stride))
    assert secondary.groups == c_out // 4
    assert secondary.kernel_size == (1, 1)


def test_grouped_then_pointwise_costs_what_the_igc_papers_supplement_says() -> None:
    width, groups = 32, 4
    assert DeepRoots(groups=groups).params(width, width) == width**2 * 9 // groups + width**2
