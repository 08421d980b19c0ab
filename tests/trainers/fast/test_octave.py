"""Octave convolution with fewer passes over activations: the same function."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.nn.utils import prune

from nas_space.layers.octave import Octave, OctConv2d, OctConv3d, pool
from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import close, outputs_and_gradients, rows, unlike, way
from trainers.fast import for_training
from trainers.fast.kernels.octave import KERNELS, JoinFunction, PartFunction
from trainers.fast.octave import MergedOctave, halved

compiled = pytest.mark.skipif(not KERNELS.exist(), reason="no C compiler")


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (1, 1)])
def test_pooling_has_the_gradient_of_torchs_own(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    theirs = F.avg_pool2d(x, 2, ceil_mode=True)
    dy = torch.randn_like(theirs)
    assert torch.equal(halved(x), theirs)
    (ours,), (expected,) = (torch.autograd.grad(y, x, dy) for y in (halved(x), theirs))
    assert torch.allclose(ours, expected, atol=1e-12)


def test_pooling_has_a_second_derivative() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: halved(x).square(), (x,))


def test_clips_are_pooled_as_they_are() -> None:
    x = torch.randn(2, 3, 4, 6, 6)
    assert torch.equal(halved(x), pool(x))


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
    module = Octave(*widths, alpha=alpha, stride=stride)
    fast = for_training(module)
    x = rows(8, widths[0], *size)
    found = []
    for exact in (False, True):
        made = module.double() if exact else fast
        given_ = (x.double() if exact else x).requires_grad_()
        y = made(given_)
        dy = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        parts = [given_, *made.parameters()]
        found.append([y.detach(), *torch.autograd.grad(y, parts, dy)])
    for ours, theirs in zip(*found, strict=True):
        room = 1e-4 * float(theirs.abs().max())
        torch.testing.assert_close(ours.double(), theirs, atol=room, rtol=1e-4)


def parted(x: Tensor, high: int) -> tuple[Tensor, ...]:
    coarse = F.avg_pool2d(x, 2)
    return x[:, :high], coarse, coarse[:, high:]


def joined(fine: Tensor, from_low: Tensor, low: Tensor) -> tuple[Tensor, ...]:
    doubled = [F.interpolate(part, scale_factor=2.0) for part in (from_low, low)]
    return (torch.cat([fine + doubled[0], doubled[1]], dim=1),)


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

    def check(
        ours: Callable[..., tuple[Tensor, ...]],
        theirs: Callable[..., tuple[Tensor, ...]],
        *shapes: tuple[int, ...],
    ) -> None:
        maps = [rows(2, *shape, half=half).requires_grad_() for shape in shapes]
        exact = [x.detach().double().requires_grad_() for x in maps]
        found, expected = ours(*maps), theirs(*exact)
        gradients = [torch.randn_like(y) for y in found]
        found += torch.autograd.grad(found, maps, gradients)
        expected += torch.autograd.grad(expected, exact, [dy.double() for dy in gradients])
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, atol=3e-2 if half else 1e-5, rtol=1e-2)

    check(lambda x: PartFunction.apply(x, high), lambda x: parted(x, high), (high + low, *size))
    coarse = (low, *blocks)
    check(lambda *x: (JoinFunction.apply(*x),), joined, (high, *size), (high, *blocks), coarse)


@compiled
def test_gradients_that_lie_otherwise_in_memory_and_that_nobody_wants_are_taken() -> None:
    x = rows(2, 8, 4, 6).requires_grad_()
    found = PartFunction.apply(x, 5)
    dys = [rows(*y.shape) for y in found]
    (expected,) = torch.autograd.grad(found, x, dys, retain_graph=True)
    (other,) = torch.autograd.grad(found, x, list(map(unlike, dys)), retain_graph=True)
    assert torch.equal(other, expected)
    (some,) = torch.autograd.grad(found[1], x, dys[1])
    exact = x.detach().requires_grad_()
    assert torch.equal(some, torch.autograd.grad(parted(exact, 5)[1], exact, dys[1])[0])


@compiled
def test_a_second_derivative_is_refused() -> None:
    x = rows(2, 8, 4, 4).requires_grad_()
    (dx,) = torch.autograd.grad(
        for_training(Octave(8, 8, alpha=0.5))(x).square().sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]


@compiled
def test_in_training_at_even_sizes_paths_are_merged() -> None:
    module = Octave(8, 8, alpha=0.25)
    fast, x = for_training(module), rows(32, 8, 6, 6)

    def joins(x: Tensor) -> bool:
        return way(fast(x)) == "JoinFunctionBackward"

    assert joins(x)
    assert not joins(x[..., :5])
    assert not joins(x.contiguous())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert joins(x)
    with torch.autocast("cpu", dtype=torch.float16):
        assert not joins(x)
    fast.eval()
    assert not joins(x)
    assert torch.equal(fast(x), module.eval()(x))
    fast.train().double()
    assert not joins(x.double())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_in_mixed_precision_it_gives_what_the_layer_gives(
    stride: int, dtype: torch.dtype, favour: Write
) -> None:
    favour("winograd", "direct")
    torch.manual_seed(0)
    module, x = Octave(8, 12, alpha=0.25, stride=stride), rows(4, 8, 8, 8)
    with torch.autocast("cpu", dtype=dtype):
        found, expected = for_training(module)(x), module(x)
    assert found.dtype is expected.dtype is dtype
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0.05)


def test_no_images_have_no_output() -> None:
    for stride in (1, 2):
        fast = for_training(Octave(8, 12, alpha=0.25, stride=stride))
        assert fast(rows(0, 8, 8, 8)).shape == (0, 12, 8 // stride, 8 // stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_bias_that_a_path_was_given_counts(stride: int, favour: Write) -> None:
    favour()
    module = Octave(8, 8, alpha=0.5, stride=stride)
    for path in ("h2h", "l2l"):
        module.conv.get_submodule(path).bias = nn.Parameter(torch.ones(4))
    x = rows(2, 8, 8, 8)
    fast = for_training(module)
    assert close(outputs_and_gradients(fast, x), outputs_and_gradients(module, x), 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_hooks_of_its_parts_see_what_they_would(stride: int) -> None:
    module, seen = Octave(8, 8, alpha=0.5, stride=stride), list[str]()
    for name, part in module.named_modules():
        part.register_forward_hook(lambda *_, name=name: seen.append(name))
    x = rows(2, 8, 8, 8)
    module(x)
    expected = list(seen)
    seen.clear()
    for_training(module)(x)
    assert seen == expected


def test_a_pruned_path_is_pruned_in_every_step(favour: Write) -> None:
    favour()
    module, x = Octave(8, 8, alpha=0.5), rows(2, 8, 8, 8)
    prune.random_unstructured(module.conv.get_submodule("h2h"), "weight", 0.5)  # type: ignore[no-untyped-call]
    fast = for_training(module)
    for _ in range(2):
        fast(x).square().sum().backward()
        with torch.no_grad():
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.1 * parameter.grad)
    torch.testing.assert_close(fast(x), module(x), atol=1e-4, rtol=1e-4)


class Greatest(OctConv2d):
    """Pools in another way."""

    def halve(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


def test_a_kind_of_a_users_own_pools_as_it_says(favour: Write) -> None:
    favour()
    conv = Greatest((4, 4), (4, 4), 3)
    given_ = (rows(2, 4, 4, 4), rows(2, 4, 2, 2))
    for found, expected in zip(for_training(conv)(given_), conv(given_), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_only_a_layer_with_all_four_paths_is_merged() -> None:
    assert MergedOctave.takes(Octave(8, 8, alpha=0.5))
    assert not MergedOctave.takes(Octave(8, 8, alpha=0.0))
    assert not MergedOctave.takes(Octave(8, 8, alpha=1.0))
    module = Octave(8, 8, alpha=0.5)
    module.conv.h2h = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1))
    assert not MergedOctave.takes(module)


def test_octave_convolutions_of_pairs_and_of_clips_compute_the_same() -> None:
    torch.manual_seed(0)
    for conv, high, low in (
        (OctConv2d((4, 4), (4, 4), 3, bias=True), rows(2, 4, 8, 6), rows(2, 4, 4, 3)),
        (OctConv2d((4, 4), (4, 4), 3, stride=2), rows(2, 4, 8, 8), rows(2, 4, 4, 4)),
        (OctConv2d((4, 4), (4, 4), 3, groups=8), rows(2, 4, 7, 7), rows(2, 4, 4, 4)),
        (
            OctConv3d((4, 4), (4, 4), (1, 3, 3), stride=2),
            torch.randn(1, 4, 3, 8, 8),
            torch.randn(1, 4, 3, 4, 4),
        ),
    ):
        found = list[list[Tensor]]()
        for module in (for_training(conv), conv):
            given_ = [part.clone().requires_grad_() for part in (high, low)]
            outputs = module(tuple(given_))
            loss = sum((y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in outputs)
            assert isinstance(loss, Tensor)
            weights = list(module.parameters())
            outputs = [y.detach() for y in outputs]
            found.append([*outputs, *torch.autograd.grad(loss, [*given_, *weights])])
        assert close(found[0], found[1], 1e-4)
