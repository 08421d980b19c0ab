"""Convolutions of bf16 by a CPU's matrix multiplier, or by what stands in for one, are exact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_space.dense import DenseConv2d
from nas_space.grouped import GroupConv2d
from nas_space.kernels.matrices import MatricesFunction, kernels
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

pytestmark = pytest.mark.skipif(kernels() is None, reason="no C compiler, or the system forbids it")

_ROUNDED = 0.005
"""Of what is rounded to bfloat16, which has eight binary digits, as a share of the largest."""
_SUMMED = 1e-4
"""Of what is not."""


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def error(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((found.detach().double() - exact).abs().max() / exact.abs().max())


def errors(x: Tensor, weight: Tensor, stride: int, groups: int) -> list[float]:
    """Of the output, and of the gradients of x and the weight."""
    y = MatricesFunction.apply(x.requires_grad_(), weight.requires_grad_(), stride)
    dy = rows(*y.shape).bfloat16()
    known = [part.detach().bfloat16().double().requires_grad_() for part in (x, weight)]
    exact = F.conv2d(known[0], known[1], None, stride, weight.shape[2] // 2, 1, groups)
    pairs = zip(
        [y, *torch.autograd.grad(y, [x, weight], dy)],
        [exact.detach(), *torch.autograd.grad(exact, known, dy.double())],
        strict=True,
    )
    return [error(*pair) for pair in pairs]


@settings(max_examples=60)
@given(
    images=st.integers(1, 9),
    groups=st.sampled_from([1, 1, 1, 2, 3, 4, 8, 17]),
    widths=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 1, 2, 3]),
)
def test_they_give_output_and_gradients_of_the_definition(
    images: int,
    groups: int,
    widths: tuple[int, int],
    size: tuple[int, int],
    kernel: int,
    stride: int,
) -> None:
    torch.manual_seed(0)
    c_in, c_out = widths
    x, weight = rows(images, groups * c_in, *size), rows(groups * c_out, c_in, kernel, kernel)
    output, dx, dweight = errors(x.bfloat16(), weight, stride, groups)
    assert output < _ROUNDED
    assert dx < _ROUNDED
    assert dweight < _SUMMED


@pytest.mark.parametrize(
    ("widths", "groups", "size", "images"),
    [
        ((64, 64), 1, (8, 8), 64),  # squares of tiles, several images at a time and a rest
        ((48, 80), 1, (5, 7), 20),  # an odd number of tiles
        ((16, 16), 1, (32, 32), 3),  # an image at a time
        ((70, 33), 1, (4, 4), 9),
        ((8, 8), 8, (16, 16), 17),  # blocks of groups
        ((5, 3), 7, (9, 9), 11),  # the last block has fewer
        ((40, 24), 2, (6, 6), 10),
    ],
)
def test_so_they_do_for_many_channels_and_images(
    widths: tuple[int, int], groups: int, size: tuple[int, int], images: int
) -> None:
    torch.manual_seed(0)
    c_in, c_out = widths
    x, weight = rows(images, groups * c_in, *size), rows(groups * c_out, c_in, 3, 3)
    output, dx, dweight = errors(x.bfloat16(), weight, 1, groups)
    assert output < _ROUNDED
    assert dx < _ROUNDED
    assert dweight < _SUMMED


def test_no_images_have_no_output_and_a_gradient_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda: True)
    conv = DenseConv2d(16, 24, 3, 1, 1, bias=False).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = conv(rows(0, 16, 8, 8).bfloat16())
    (gradient,) = torch.autograd.grad(y.sum(), conv.weight)
    assert y.shape == (0, 24, 8, 8)
    assert not gradient.any()


def test_torchs_own_kernels_go_on_as_before_in_between() -> None:
    """They share the tiles' configuration, and ask for theirs once."""
    x, weight = rows(4, 32, 8, 8).bfloat16(), rows(32, 32, 3, 3)
    alone = F.conv2d(x, weight.bfloat16(), padding=1)
    for _ in range(3):
        MatricesFunction.apply(x, weight, 1)
        assert torch.equal(F.conv2d(x, weight.bfloat16(), padding=1), alone)


def test_the_gradient_lies_in_memory_as_the_weights_of_a_network_do() -> None:
    x, weight = rows(4, 32, 8, 8).bfloat16(), rows(32, 32, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(MatricesFunction.apply(x, weight, 1).sum(), weight)
    assert gradient.stride() == weight.stride()


@pytest.mark.parametrize(
    ("conv", "side", "taken"),
    [
        (DenseConv2d(16, 16, 3, 1, 1, bias=False), 32, True),
        (DenseConv2d(16, 16, 5, 1, 2, bias=False), 8, True),
        (DenseConv2d(128, 128, 3, 1, 1, bias=False), 4, True),
        (DenseConv2d(272, 272, 3, 1, 1, bias=False), 4, False),  # no cache holds the weights
        (DenseConv2d(128, 128, 3, 1, 1, bias=False), 16, False),  # nor is torch's any slower
        (DenseConv2d(64, 128, 3, 2, 1, bias=False), 8, True),
        (DenseConv2d(32, 64, 3, 2, 1, bias=False), 32, False),
        (DenseConv2d(32, 64, 1, 2, bias=False), 16, True),
        (DenseConv2d(64, 64, 1, bias=False), 16, True),
        (DenseConv2d(64, 64, 1, bias=False), 32, False),
        (GroupConv2d(64, 64, 3, 1, 1, groups=64, bias=False), 8, False),
        (GroupConv2d(64, 64, 3, 1, 1, groups=32, bias=False), 8, False),
        (GroupConv2d(64, 64, 3, 1, 1, groups=16, bias=False), 8, True),
        (GroupConv2d(64, 64, 3, 1, 1, groups=2, bias=False), 16, True),
        (GroupConv2d(64, 64, 3, 1, 1, groups=2, bias=False), 32, False),
        (GroupConv2d(64, 64, 3, 1, 1, groups=8, bias=False), 32, True),
        (GroupConv2d(64, 64, 3, 2, 1, groups=16, bias=False), 16, False),
        (GroupConv2d(64, 64, 3, 2, 1, groups=8, bias=False), 16, True),
        (GroupConv2d(32, 64, 3, 2, 1, groups=32, bias=False), 16, True),
        (GroupConv2d(32, 64, 3, 2, 1, groups=32, bias=False), 32, True),
    ],
    ids=str,
)
def test_they_are_taken_in_bf16_where_a_cpu_has_one_and_they_are_the_fastest(
    conv: DenseConv2d | GroupConv2d, side: int, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rows(16, conv.in_channels, side, side)
    monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda: True)
    assert "matrices" not in conv.ways(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (next(iter(conv.ways(x.bfloat16()))) == "matrices") is taken
        monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda: False)
        assert "matrices" not in conv.ways(x.bfloat16())


def test_a_network_trains_the_same_way_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(
            DenseConv2d(3, 16, 3, 1, 1, bias=False),
            nn.ReLU(),
            GroupConv2d(16, 16, 3, 1, 1, groups=2, bias=False),
        ).to(memory_format=torch.channels_last)
        x = rows(8, 3, 16, 16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = network(x.bfloat16()).float().square().mean()
        loss.backward()
        return [part.grad for part in network.parameters() if part.grad is not None]

    found = []
    for has in (True, False):
        monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda has=has: has)
        found.append(trained())
    assert len(found[0]) == 2
    for ours, theirs in zip(*found, strict=True):
        assert error(ours, theirs.double()) < 0.05
