"""What a type takes over of a dense convolution's weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nas_space.convs import TYPES, Conv, parse
from nas_space.convs.octave import Octave
from nas_space.weights import factors

CARRYING = [
    ("regular", 8, 12),
    ("igc(L=4,M=2)", 8, 8),
    ("igc(L=2,M=6)", 8, 12),
    ("igc(L=2,M=4,kernel=1)", 4, 8),
    ("xception", 6, 10),
    ("xception(kernel=5)", 6, 4),
    ("deep_roots(groups=2)", 8, 12),
    ("deep_roots(groups=4)", 8, 16),
    ("deep_roots(groups=2,kernel=1)", 4, 16),
]
every_carrying = pytest.mark.parametrize(("label", "c_in", "c_out"), CARRYING)


def kernel_of(module: nn.Module, c_in: int, side: int) -> Tensor:
    """The kernel (c_out, c_in, K, K) that a module applies, from what it makes of single pixels."""
    images = torch.zeros(c_in, c_in, 2 * side - 1, 2 * side - 1)
    images[range(c_in), range(c_in), side - 1, side - 1] = 1
    half = side // 2
    seen: Tensor = (
        module(images)[..., half : half + side, half : half + side] if half else module(images)
    )
    return seen.transpose(0, 1).flip(-1, -2)


@every_carrying
@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_that_the_type_can_express_comes_back(
    label: str, c_in: int, c_out: int, stride: int
) -> None:
    conv = parse(label)
    torch.manual_seed(0)
    dense = kernel_of(conv.build(c_in, c_out).eval(), c_in, conv.kernel).detach()
    heir = conv.build(c_in, c_out, stride).eval()
    assert conv.init_from_dense(heir, dense)
    images = torch.randn(2, c_in, 7, 7)
    wanted = F.conv2d(images, dense, stride=stride, padding=conv.kernel // 2)
    torch.testing.assert_close(heir(images), wanted, atol=1e-4, rtol=1e-4)


@every_carrying
def test_of_any_other_the_nearest_is_taken(label: str, c_in: int, c_out: int) -> None:
    conv = parse(label)
    torch.manual_seed(1)
    dense = torch.randn(c_out, c_in, conv.kernel, conv.kernel)
    module = conv.build(c_in, c_out).eval()
    assert conv.init_from_dense(module, dense)
    distance = (kernel_of(module, c_in, conv.kernel) - dense).square().sum()
    distance.backward()  # type: ignore[no-untyped-call]
    for weight in module.parameters():
        # Nothing is gained by a small step in any direction …
        assert weight.grad is not None
        assert weight.grad.abs().max() < 1e-3
    # … nor by starting elsewhere.
    assert distance <= best_of_many(conv, c_in, dense) * (1 + 1e-4)


def best_of_many(conv: Conv, c_in: int, dense: Tensor) -> float:
    """The least distance to a kernel that gradient descent finds from some starts."""
    best = float("inf")
    for seed in range(3):
        torch.manual_seed(seed)
        module = conv.build(c_in, dense.shape[0]).eval()
        optimiser = torch.optim.Adam(module.parameters(), lr=0.03)
        for _ in range(150):
            optimiser.zero_grad()
            distance = (kernel_of(module, c_in, conv.kernel) - dense).square().sum()
            distance.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        best = min(best, distance.item())
    return best


@pytest.mark.parametrize("alpha", [0.25, 0.5])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_octave_convolution_answers_maps_without_detail_as_before(
    alpha: float, stride: int
) -> None:
    conv = Octave(alpha=alpha, kernel=1)
    torch.manual_seed(0)
    dense, module = torch.randn(12, 8, 1, 1), conv.build(8, 12, stride)
    assert conv.init_from_dense(module, dense)
    images = torch.randn(2, 8, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    wanted = F.conv2d(images, dense, stride=stride)
    torch.testing.assert_close(module(images), wanted, atol=1e-5, rtol=1e-5)


def test_what_no_kernel_needs_can_still_be_learnt() -> None:
    conv = parse("deep_roots(groups=2,kernel=1)")
    module = conv.build(4, 16)
    conv.init_from_dense(module, torch.randn(16, 4, 1, 1))
    module(torch.randn(2, 4, 5, 5)).square().sum().backward()
    pointwise = module.get_parameter("1.weight").grad
    assert pointwise is not None
    assert (pointwise.abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("kind", TYPES.all().values(), ids=lambda kind: str(kind.kind))
def test_a_type_that_cannot_says_so_and_leaves_the_weights_alone(kind: type[Conv]) -> None:
    conv = kind.settings(16, 16)[0]
    module = conv.build(16, 16)
    before = [weight.clone() for weight in module.parameters()]
    from_dense = conv.init_from_dense(module, torch.randn(16, 16, 3, 3))
    same = [torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True)]
    assert not any(same) if from_dense else all(same)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=50)
def test_factors_are_exact_where_the_rank_allows_and_have_equal_norms(
    rows: int, columns: int, rank: int, seed: int
) -> None:
    matrix = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    left, right = factors(matrix, rank)
    assert left.shape == (2, rows, min(rank, rows, columns))
    torch.testing.assert_close(left.norm(), right.norm())
    lost = (matrix - left @ right).square().sum()
    tail = torch.linalg.svdvals(matrix)[:, rank:].square().sum()
    torch.testing.assert_close(lost, tail, atol=1e-4, rtol=1e-4)
