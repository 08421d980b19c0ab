"""Group convolutions computed another way in training are the same function, and train alike."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_space.cpu import lanes
from nas_space.grouped import GroupConv2d, block_diagonal
from nas_space.kernels.depthwise import DepthwiseFunction
from nas_space.kernels.direct import DirectFunction
from nas_space.kernels.grouped import GROUPS, SIDES, GroupedFunction, kernels
from nas_space.kernels.winograd import WinogradFunction
from torch import Tensor, nn

from nas_space.convs import parse
from tests.nas_space.twins import close, outputs_and_gradients, plain

compiled = pytest.mark.skipif(kernels() is None, reason="no C compiler")


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
    ("widths", "half", "vectors"),
    [
        ((1, 1), False, 1),
        ((1, 2), False, 1),
        ((2, 4), False, 1),
        ((4, 4), False, 0),
        ((4, 4), True, 1),
        ((8, 4), True, 0),
    ],
)
def test_narrow_groups_are_computed_together_up_to_the_lanes_of_a_vector(
    widths: tuple[int, int], half: bool, vectors: int
) -> None:
    c_in, c_out = (32 * width for width in widths)
    count = GroupConv2d(c_in, c_out, 3, groups=32, bias=False)._together(half)
    assert count == (vectors * lanes() // max(widths) or 1)


def test_all_groups_together_would_be_a_dense_convolution() -> None:
    conv = GroupConv2d(lanes() // 2, lanes() // 2, 3, groups=lanes() // 2, bias=False)
    assert conv._together(half=False) == 1


def test_a_block_diagonal_kernel_is_zero_where_groups_do_not_meet() -> None:
    weight = torch.ones(8, 2, 1, 1)
    kernel = block_diagonal(weight, groups=4, together=2)
    assert kernel.shape == (8, 4, 1, 1)
    blocks = kernel.view(2, 2, 2, 2, 2)  # groups, block, its outputs, block, its inputs
    assert all(blocks[:, i, :, j].eq(float(i == j)).all() for i in (0, 1) for j in (0, 1))


def test_a_strided_depthwise_convolution_in_bf16_is_close_to_fp32() -> None:
    torch.manual_seed(0)
    conv = GroupConv2d(16, 16, 3, 2, 1, groups=16, bias=False)
    x = torch.randn(4, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x.bfloat16())
    assert y.dtype is torch.bfloat16
    assert torch.allclose(y.float(), plain(conv)(x), atol=0.05)


@pytest.mark.parametrize(
    "label", ["igc(L=8,M=4)", "igcv2(K1=2,K2=4,K3=2,K4=2)", "deep_roots(groups=8)", "xception"]
)
def test_the_names_of_weights_are_those_of_torchs_own_modules(label: str) -> None:
    names = set(parse(label).build(32, 32).state_dict())
    assert names == {f"{number}.weight" for number in range(0, 2 * len(names), 2)} or names == {
        "0.weight",
        "1.weight",
    }


def found_and_exact(
    function: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    weight: Tensor,
    stride: int,
    groups: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients by a kernel, and as torch defines them in double precision."""
    rows = []
    for exact in (False, True):
        given_ = (x.double() if exact else x).requires_grad_()
        if exact:
            padding = weight.shape[2] // 2
            y = nn.functional.conv2d(given_, weight.double(), None, stride, padding, 1, groups)
        else:
            y = function(given_, weight)
        dy = torch.linspace(-1, 1, y.numel()).to(x.dtype).to(y.dtype).view(y.shape)
        gradients = torch.autograd.grad(y, [given_, weight], dy)
        rows.append([part.double() for part in (y.detach(), *gradients)])
    return rows[0], rows[1]


@compiled
@given(
    group=st.sampled_from(GROUPS),
    blocks=st.integers(1, 2),
    side=st.sampled_from(SIDES),
    stride=st.sampled_from([1, 2, 3]),
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    half=st.booleans(),
)
def test_kernels_for_narrow_groups_compute_what_torchs_own_do(
    group: int, blocks: int, side: int, stride: int, size: tuple[int, int], *, half: bool
) -> None:
    torch.manual_seed(0)
    own = kernels()
    assert own is not None
    channels = blocks * max(own.lanes, group)
    weight = torch.randn(channels, group, side, side, requires_grad=True)
    x = torch.randn(2, channels, *size).to(torch.bfloat16 if half else torch.float32)
    x = x.contiguous(memory_format=torch.channels_last)
    found, exact = found_and_exact(
        lambda x, w: GroupedFunction.apply(x, w, stride), x, weight, stride, channels // group
    )
    assert close(found, exact, 0.01 if half else 1e-5)


@compiled
@given(
    groups=st.integers(1, 5),
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    side=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2, 3]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_direct_kernels_compute_what_torchs_own_do_in_groups(
    groups: int, widths: tuple[int, int], side: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    c_in, c_out = (groups * width for width in widths)
    weight = torch.randn(c_out, widths[0], side, side, requires_grad=True)
    x = torch.randn(3, c_in, *size).contiguous(memory_format=torch.channels_last)
    found, exact = found_and_exact(
        lambda x, w: DirectFunction.apply(x, w, stride), x, weight, stride, groups
    )
    assert close(found, exact, 1e-5)


@compiled
@settings(max_examples=60)
@given(
    images=st.integers(1, 9),
    groups=st.integers(1, 5),
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 10), st.integers(1, 10)),
    half=st.booleans(),
)
def test_minimal_filtering_computes_what_torchs_own_does_in_groups(
    images: int, groups: int, widths: tuple[int, int], size: tuple[int, int], *, half: bool
) -> None:
    torch.manual_seed(0)
    c_in, c_out = (groups * width for width in widths)
    weight = torch.randn(c_out, widths[0], 3, 3, requires_grad=True)
    x = torch.randn(images, c_in, *size).to(torch.bfloat16 if half else torch.float32)
    x = x.contiguous(memory_format=torch.channels_last)
    found, exact = found_and_exact(WinogradFunction.apply, x, weight, 1, groups)
    assert close(found, exact, 0.01 if half else 1e-4)


@compiled
@settings(max_examples=60)
@given(
    images=st.integers(1, 3),
    channels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 10), st.integers(1, 10)),
    half=st.booleans(),
)
def test_depthwise_kernels_compute_what_torchs_own_do(
    images: int, channels: int, size: tuple[int, int], *, half: bool
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(channels, 1, 3, 3, requires_grad=True)
    x = torch.randn(images, channels, *size).to(torch.bfloat16 if half else torch.float32)
    x = x.contiguous(memory_format=torch.channels_last)
    found, exact = found_and_exact(DepthwiseFunction.apply, x, weight, 1, channels)
    assert close(found, exact, 0.01 if half else 1e-5)


@compiled
def test_what_is_infinite_stays_where_a_depthwise_convolution_sees_it() -> None:
    x = torch.ones(2, 16, 4, 4).contiguous(memory_format=torch.channels_last)
    x[0, 3, 0, 0] = torch.inf
    y = DepthwiseFunction.apply(x, torch.ones(16, 1, 3, 3))
    assert torch.equal(y, nn.functional.conv2d(x, torch.ones(16, 1, 3, 3), None, 1, 1, 1, 16))


def name_of_way(conv: nn.Module, x: Tensor) -> str:
    return type(conv(x).grad_fn).__name__


@compiled
def test_narrow_groups_have_kernels_of_their_own_in_training_on_one_thread() -> None:
    conv = GroupConv2d(32, 32, 3, 1, 1, groups=8, bias=False)
    x = torch.randn(32, 32, 5, 5).contiguous(memory_format=torch.channels_last)
    assert name_of_way(conv, x) == "GroupedFunctionBackward"
    assert name_of_way(conv, x[:2]) == "ConvolutionBackward0", "too few pixels"
    assert name_of_way(conv, x.contiguous()) == "ConvolutionBackward0"
    assert name_of_way(conv.eval(), x) == "ConvolutionBackward0"
    torch.set_num_threads(2)
    try:
        assert name_of_way(conv.train(), x) == "ConvolutionBackward0"
    finally:
        torch.set_num_threads(1)


@compiled
@pytest.mark.parametrize(
    ("widths", "groups", "stride", "side", "half", "way"),
    [
        ((2, 2), 32, 1, 8, False, "own"),
        ((2, 2), 32, 1, 8, True, "own"),
        ((8, 8), 32, 1, 8, False, "own"),
        ((8, 8), 32, 1, 8, True, "torch"),
        ((8, 8), 32, 2, 8, True, "torch"),
        ((12, 12), 4, 1, 8, False, "winograd"),
        ((lanes() * 3 // 4, lanes() * 3 // 4), 8, 1, 4, False, "winograd"),
        ((4, 4), 16, 1, 4, False, "own"),
        ((16, 16), 4, 1, 8, True, "winograd"),
        ((16, 16), 8, 1, 8, True, "torch"),
        ((16, 16), 4, 1, 32, True, "torch"),
        ((32, 32), 2, 1, 8, False, "winograd"),
        ((32, 32), 2, 1, 8, True, "winograd"),
        ((32, 32), 2, 1, 2, False, "direct"),
        ((32, 32), 2, 2, 8, False, "direct"),
        ((32, 32), 2, 2, 16, False, "torch"),
        ((2, 32), 2, 2, 4, False, "direct"),
        ((3, 3), 32, 1, 2, False, "direct"),
        ((3, 3), 32, 1, 4, False, "torch"),
        ((4, 4), 32, 1, 2, False, "own"),
        ((1, 1), 64, 1, 8, False, "depthwise"),
        ((1, 1), 64, 1, 16, False, "torch"),
        ((1, 1), 64, 1, 32, True, "depthwise"),
        ((1, 1), 64, 2, 8, False, "own"),
        ((1, 1), 64, 2, 8, True, "own"),
        ((1, 2), 64, 2, 16, False, "together"),
    ],
)
def test_the_fastest_way_is_chosen(
    widths: tuple[int, int],
    groups: int,
    stride: int,
    side: int,
    half: bool,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda: False)
    c_in, c_out = (groups * width for width in widths)
    conv = GroupConv2d(c_in, c_out, 3, stride, 1, groups=groups, bias=False)
    x = torch.randn(64, c_in, side, side).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        assert next(iter(conv.ways(x.bfloat16() if half else x))) == way


@compiled
def test_maps_that_do_not_fit_are_refused() -> None:
    conv = GroupConv2d(32, 32, 3, 1, 1, groups=8, bias=False)
    for channels in (16, 64):
        x = torch.randn(32, channels, 9, 9).contiguous(memory_format=torch.channels_last)
        with pytest.raises(RuntimeError, match="channels"):
            conv(x)


@compiled
@pytest.mark.parametrize(
    "conv",
    [
        GroupConv2d(32, 64, 3, 1, 1, groups=8, bias=False),  # widens
        GroupConv2d(24, 24, 3, 1, 1, groups=8, bias=False),  # groups of 3
        GroupConv2d(64, 64, 3, 2, 1, groups=2, bias=False),  # wide groups, strided
        GroupConv2d(32, 32, 3, 1, 0, groups=8, bias=False),  # without padding
        GroupConv2d(32, 32, 7, 1, 3, groups=8, bias=False),
        GroupConv2d(32, 32, (3, 5), 1, 1, groups=8, bias=False),
        GroupConv2d(32, 32, 3, 1, 2, dilation=2, groups=8, bias=False),
        GroupConv2d(4, 4, 3, 1, 1, groups=2, bias=False),  # fewer channels than a vector has
        GroupConv2d(32, 32, 3, 1, 1, groups=8, bias=False).double(),
    ],
    ids=str,
)
def test_what_they_cannot_do_is_done_by_torch(conv: nn.Conv2d) -> None:
    x = torch.randn(8, conv.in_channels, 9, 9, dtype=conv.weight.dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    assert name_of_way(conv, x) == "ConvolutionBackward0"
    assert close(outputs_and_gradients(conv, x), outputs_and_gradients(plain(conv), x), 1e-5)
