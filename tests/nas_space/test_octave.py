"""Octave convolution against the authors' code and the paper's laws (arXiv 1904.05049)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nas_space.kernels.octave import JoinFunction, PartFunction, kernels
from nas_space.octaves import OctConv2d, OctConv3d, OneTensor, pool, upsample
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nas_space.convs.octave import Octave, split
from nas_space.convs.regular import Regular

GOLDEN = Path(__file__).parents[1] / "data" / "oct_golden_ops.npz"
TABLE_1 = json.loads(GOLDEN.with_name("papers.json").read_text())["table_1"]
PATHS = ("h2h", "h2l", "l2h", "l2l")

compiled = pytest.mark.skipif(kernels() is None, reason="no C compiler")


def golden_cases() -> list[tuple[int, dict[str, Any]]]:
    with np.load(GOLDEN, allow_pickle=False) as data:
        return list(enumerate(json.loads(str(data["cases"]))))


@pytest.mark.parametrize(
    ("number", "case"), golden_cases(), ids=[case["name"] for _, case in golden_cases()]
)
def test_outputs_equal_those_of_the_authors_code(number: int, case: dict[str, Any]) -> None:
    high_in, low_in = (max(0, width) for width in case["cin"])
    high, low = (max(0, width) for width in case["cout"])
    conv = OctConv2d(
        (high_in, low_in),
        (high, low),
        case["k"],
        stride=case["stride"],
        groups=case["groups"],
        bias=case["bias"],
    )
    with np.load(GOLDEN, allow_pickle=False) as data:
        arrays = {
            name.partition("/")[2]: torch.from_numpy(data[name])
            for name in data.files
            if name.startswith(f"{number}/")
        }
    weights = {
        name.replace("/", "."): tensor for name, tensor in arrays.items() if name[:3] in PATHS
    }
    conv.load_state_dict(weights)
    outputs = conv((arrays.get("xh"), arrays.get("xl")))
    for name, y in zip(("yh", "yl"), outputs, strict=True):
        if name in arrays:
            assert y is not None
            assert torch.allclose(y, arrays[name], atol=1e-5)
        else:
            assert y is None


def test_with_alpha_0_it_is_a_regular_convolution() -> None:
    octave = Octave(alpha=0.0).build(6, 8).double()
    regular = Regular().build(6, 8).double()
    regular.load_state_dict({"weight": octave.state_dict()["conv.h2h.weight"]})
    x = torch.randn(2, 6, 7, 7, dtype=torch.double)
    assert torch.allclose(octave(x), regular(x), atol=1e-12)


def test_with_alpha_0_and_stride_2_it_pools_first_and_never_strides() -> None:
    octave = Octave(alpha=0.0).build(6, 8, 2).double()
    weight = octave.state_dict()["conv.h2h.weight"]
    x = torch.randn(2, 6, 8, 8, dtype=torch.double)
    expected = F.conv2d(F.avg_pool2d(x, 2), weight, padding=1)
    assert torch.allclose(octave(x), expected, atol=1e-12)


def test_with_alpha_1_it_is_a_regular_convolution_at_half_the_resolution() -> None:
    octave = Octave(alpha=1.0).build(6, 8).double()
    weight = octave.state_dict()["conv.l2l.weight"]
    x = torch.randn(2, 6, 8, 8, dtype=torch.double)
    expected = F.conv2d(F.avg_pool2d(x, 2), weight, padding=1)
    assert torch.allclose(octave(x), F.interpolate(expected, scale_factor=2), atol=1e-12)


@pytest.mark.parametrize("alpha", [0.125, 0.25, 0.5, 0.75])
def test_a_chain_of_one_tensor_convolutions_equals_the_papers_chain_of_pairs(alpha: float) -> None:
    torch.manual_seed(0)
    first, second = (Octave(alpha=alpha).build(16, 16).double() for _ in range(2))
    assert isinstance(first, OneTensor)
    assert isinstance(second, OneTensor)
    norm = nn.BatchNorm2d(16).double().eval()
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            assert isinstance(tensor, Tensor)
            tensor.copy_(torch.randn(16))
    high_width, _ = split(16, alpha)

    def activate(x: Tensor, channels: slice) -> Tensor:
        # BatchNorm and ReLU on their own share of the channels
        assert norm.running_mean is not None
        assert norm.running_var is not None
        y = F.batch_norm(
            x,
            norm.running_mean[channels],
            norm.running_var[channels],
            norm.weight[channels],
            norm.bias[channels],
        )
        return F.relu(y)

    x = torch.randn(2, 16, 8, 8, dtype=torch.double)
    chained = second(F.relu(norm(first(x))))
    high, low = first.conv((x[:, :high_width], pool(x[:, high_width:])))
    high, low = activate(high, slice(high_width)), activate(low, slice(high_width, None))
    high, low = second.conv((high, low))
    assert torch.allclose(chained, torch.cat([high, upsample(low, (8, 8))], dim=1), atol=1e-12)


@given(
    alpha=st.sampled_from([0.125, 0.25, 0.5, 0.75]),
    c_in=st.sampled_from([8, 16, 24]),
    c_out=st.sampled_from([8, 16, 40]),
    half=st.integers(1, 16),
)
def test_macs_follow_the_papers_ratio_at_even_sizes(
    alpha: float, c_in: int, c_out: int, half: int
) -> None:
    size = (4 * half, 4 * half)
    conv, vanilla = Octave(alpha=alpha), Regular()
    inner = 1 - 3 / 4 * alpha * (2 - alpha)
    assert conv.macs(c_in, c_out, size) == inner * vanilla.macs(c_in, c_out, size)
    strided = 1 - 3 / 4 * alpha
    assert conv.macs(c_in, c_out, size, 2) == strided * vanilla.macs(c_in, c_out, size, 2)
    assert conv.params(c_in, c_out) == vanilla.params(c_in, c_out)


@given(channels=st.integers(1, 512), alpha=st.floats(0, 1))
def test_a_split_gives_all_channels_and_rounds_low_down(channels: int, alpha: float) -> None:
    high, low = split(channels, alpha)
    assert high + low == channels
    assert low <= alpha * channels < low + 1


@pytest.mark.parametrize(("alpha", "flops", "memory"), TABLE_1)
def test_costs_of_one_layer_round_to_the_papers_table_1(
    alpha: float, flops: float, memory: float
) -> None:
    width, size = 64, (16, 16)
    share = Octave(alpha=alpha).macs(width, width, size) / Regular().macs(width, width, size)
    assert round(100 * share) == flops
    high, low = split(width, alpha)
    kept = 100 * (high + low / 4) / width
    # 34.375 is printed as 35: the one cell of fourteen that does not round.
    assert int(kept + 0.5) == memory or (alpha, kept, memory) == (0.875, 34.375, 35)


def test_in_three_dimensions_frames_are_convolved_alike_and_never_halved() -> None:
    flat = OctConv2d((4, 4), (4, 4), 3, stride=2).double()
    video = OctConv3d((4, 4), (4, 4), (1, 3, 3), stride=2).double()
    video.load_state_dict({k: w.unsqueeze(2) for k, w in flat.state_dict().items()})
    high = torch.randn(1, 4, 3, 8, 8, dtype=torch.double)
    low = torch.randn(1, 4, 3, 4, 4, dtype=torch.double)
    clips = video((high, low))
    for frame in range(3):
        for clip, image in zip(clips, flat((high[:, :, frame], low[:, :, frame])), strict=True):
            assert clip is not None
            assert torch.allclose(clip[:, :, frame], image, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (1, 1)])
def test_pooling_has_the_gradient_of_torchs_own(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    theirs = F.avg_pool2d(x, 2, ceil_mode=True)
    dy = torch.randn_like(theirs)
    assert torch.equal(pool(x), theirs)
    (ours,), (expected,) = (torch.autograd.grad(y, x, dy) for y in (pool(x), theirs))
    assert torch.allclose(ours, expected, atol=1e-12)


@given(
    alpha=st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0]),
    widths=st.sampled_from([(8, 8), (8, 16), (16, 12)]),
    stride=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
)
def test_in_training_it_computes_what_its_definition_does(
    alpha: float, widths: tuple[int, int], stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    module = Octave(alpha=alpha).build(*widths, stride)
    x = torch.randn(8, widths[0], *size).contiguous(memory_format=torch.channels_last)
    found = []
    for exact in (False, True):
        module = module.train(not exact).to(torch.double if exact else torch.float)
        given_ = (x.double() if exact else x).requires_grad_()
        y = module(given_)
        dy = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        parts = [given_, *module.parameters()]
        found.append([y.detach(), *torch.autograd.grad(y, parts, dy)])
    for ours, theirs in zip(*found, strict=True):
        room = 1e-4 * float(theirs.abs().max())
        torch.testing.assert_close(ours.double(), theirs, atol=room, rtol=1e-4)


@compiled
@given(
    widths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    blocks=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    half=st.booleans(),
)
def test_kernels_part_and_join_maps_as_the_definition_does(
    widths: tuple[int, int], blocks: tuple[int, int], *, half: bool
) -> None:
    torch.manual_seed(0)
    high, low = widths
    size = (2 * blocks[0], 2 * blocks[1])

    def parted(x: Tensor) -> tuple[Tensor, ...]:
        coarse = F.avg_pool2d(x, 2)
        return x[:, :high], coarse, coarse[:, high:]

    def joined(fine: Tensor, from_low: Tensor, low: Tensor) -> tuple[Tensor, ...]:
        doubled = [F.interpolate(part, scale_factor=2.0) for part in (from_low, low)]
        return (torch.cat([fine + doubled[0], doubled[1]], dim=1),)

    def check(
        ours: Callable[..., tuple[Tensor, ...]],
        theirs: Callable[..., tuple[Tensor, ...]],
        *shapes: tuple[int, ...],
    ) -> None:
        maps = [
            torch.randn(2, *shape).to(torch.bfloat16 if half else torch.float) for shape in shapes
        ]
        maps = [x.contiguous(memory_format=torch.channels_last).requires_grad_() for x in maps]
        exact = [x.detach().double().requires_grad_() for x in maps]
        found, expected = ours(*maps), theirs(*exact)
        gradients = [torch.randn_like(y) for y in found]
        found += torch.autograd.grad(found, maps, gradients)
        expected += torch.autograd.grad(expected, exact, [dy.double() for dy in gradients])
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, atol=3e-2 if half else 1e-5, rtol=1e-2)

    check(lambda x: PartFunction.apply(x, high), parted, (high + low, *size))
    coarse = (low, *blocks)
    check(lambda *x: (JoinFunction.apply(*x),), joined, (high, *size), (high, *blocks), coarse)


@compiled
def test_in_training_at_even_sizes_paths_are_merged() -> None:
    module = Octave(alpha=0.25).build(8, 8).train()
    x = torch.randn(32, 8, 6, 6).contiguous(memory_format=torch.channels_last)

    def joins(x: Tensor) -> bool:
        return type(module(x).grad_fn).__name__ == "JoinFunctionBackward"

    assert joins(x)
    assert not joins(x[..., :5])
    assert not joins(x.contiguous())
    torch.set_num_threads(2)
    try:
        assert not joins(x)
    finally:
        torch.set_num_threads(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert joins(x)
    with torch.autocast("cpu", dtype=torch.float16):
        assert not joins(x)
    module.double()
    assert not joins(x.double())
