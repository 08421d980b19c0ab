"""Convolutions by any algorithm are the same function as torch's, and train alike."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.weights import block_diagonal
from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import (
    close,
    convolved,
    farthest,
    found_and_exact,
    outputs_and_gradients,
    rows,
    shape_of,
    unlike,
    way,
)
from trainers.fast import for_training
from trainers.fast.algorithms import ALGORITHMS, Algorithm, convolve
from trainers.fast.kernels import depthwise, direct, grouped, winograd
from trainers.fast.kernels.calling import as_rows
from trainers.fast.kernels.convolution import ConvKernel, Shape

KERNELS = (direct.KERNEL, winograd.KERNEL, grouped.KERNEL, depthwise.KERNEL)
LANES = winograd.KERNEL.lanes or 1
BY_KERNEL, BY_TORCH = "ConvolutionFunctionBackward", "ConvolutionBackward0"

compiled = pytest.mark.skipif(winograd.KERNEL.lanes is None, reason="no C compiler")
every_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: str(kernel.name))


def weights(kernel: ConvKernel, channels: int) -> tuple[Tensor, int]:
    """The weight of a 3×3 convolution that a kernel serves, and its groups."""
    groups = {"depthwise": channels, "grouped": channels // 4}.get(kernel.name, 1)
    return torch.randn(channels, channels // groups, 3, 3), groups


# ---- dense ----


@compiled
@settings(max_examples=40)
@given(
    images=st.integers(1, 9),
    widths=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
)
def test_minimal_filtering_gives_output_and_gradients_of_the_definition(
    images: int, widths: tuple[int, int], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    c_in, c_out = widths
    x, weight = rows(images, c_in, *size), rows(c_out, c_in, 3, 3)
    output, *gradients = found_and_exact(lambda *on: convolved(winograd.KERNEL, *on), x, weight)
    assert farthest(*output) < 3e-5
    # Of a sum that happens to be small little is left.
    assert all(farthest(*pair) < 1e-4 for pair in gradients)


@compiled
@pytest.mark.parametrize("images", [10, 150])
def test_minimal_filtering_of_many_channels_takes_more_tiles_at_a_time(images: int) -> None:
    torch.manual_seed(0)
    x, weight = rows(images, 180, 3, 4), rows(170, 180, 3, 3)
    found = found_and_exact(lambda *on: convolved(winograd.KERNEL, *on), x, weight)
    assert all(farthest(*pair) < 1e-4 for pair in found)


@compiled
@settings(max_examples=100)
@given(
    images=st.integers(1, 20),
    widths=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 3]),
)
def test_direct_kernels_give_output_and_gradients_of_the_definition(
    images: int, widths: tuple[int, int], size: tuple[int, int], kernel: int, stride: int
) -> None:
    # From one channel to one, a gradient is a single sum: it may cancel, and leave no digits.
    assume(widths != (1, 1))
    torch.manual_seed(0)
    x, weight = rows(images, widths[0], *size), rows(widths[1], widths[0], kernel, kernel)
    found = found_and_exact(
        lambda x, weight: convolved(direct.KERNEL, x, weight, stride), x, weight, stride
    )
    assert all(farthest(*pair) < 1e-5 for pair in found)


@compiled
@settings(max_examples=60)
@given(images=st.integers(1, 20), widths=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_direct_kernels_do_so_for_maps_of_2x2_with_fewer_products(
    images: int, widths: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x, weight = rows(images, widths[0], 2, 2), rows(widths[1], widths[0], 3, 3)
    found = found_and_exact(lambda *on: convolved(direct.KERNEL, *on), x, weight)
    assert all(farthest(*pair) < 1e-5 for pair in found)


@compiled
def test_a_gradient_lies_in_memory_as_the_weights_of_a_network_do() -> None:
    """Else torch would put it in order, in every step."""
    x, weight = rows(64, 64, 4, 4), rows(64, 64, 3, 3).requires_grad_()
    for kernel in (winograd.KERNEL, direct.KERNEL):
        (gradient,) = torch.autograd.grad(convolved(kernel, x, weight).sum(), weight)
        assert gradient.stride() == weight.stride()


@compiled
def test_its_error_stays_small_for_many_images() -> None:
    torch.manual_seed(0)
    x, weight = rows(64, 64, 16, 16), torch.randn(64, 64, 3, 3).requires_grad_()
    dy = rows(64, 64, 16, 16)
    (found,) = torch.autograd.grad(convolved(winograd.KERNEL, x, weight), weight, dy)
    exact = weight.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(F.conv2d(x.double(), exact, padding=1), exact, dy.double())
    assert farthest(found, expected) < 1e-4


# ---- in groups ----


def checked(
    kernel: ConvKernel, x: Tensor, weight: Tensor, *, stride: int, groups: int, tolerance: float
) -> None:
    """A linear dy, as of a map that grows from one corner to the other."""
    rows_ = []
    for exact in (False, True):
        on = (x.double() if exact else x).requires_grad_()
        known = weight.double() if exact else weight
        if exact:
            y = F.conv2d(on, known, None, stride, weight.shape[2] // 2, 1, groups)
        else:
            y = convolved(kernel, on, known, stride, groups)
        dy = torch.linspace(-1, 1, y.numel()).to(x.dtype).to(y.dtype).view(y.shape)
        gradients = torch.autograd.grad(y, [on, weight], dy)
        rows_.append([part.double() for part in (y.detach(), *gradients)])
    assert close(rows_[0], rows_[1], tolerance)


@compiled
@given(
    group=st.sampled_from(grouped.GROUPS),
    blocks=st.integers(1, 2),
    stride=st.sampled_from([1, 2, 3]),
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    half=st.booleans(),
)
def test_kernels_for_narrow_groups_compute_what_torchs_own_do(
    group: int, blocks: int, stride: int, size: tuple[int, int], *, half: bool
) -> None:
    torch.manual_seed(0)
    channels = blocks * max(LANES, group)
    weight = torch.randn(channels, group, 3, 3, requires_grad=True)
    x = rows(2, channels, *size, half=half)
    groups, tolerance = channels // group, 0.01 if half else 1e-5
    checked(grouped.KERNEL, x, weight, stride=stride, groups=groups, tolerance=tolerance)


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
    x = rows(3, c_in, *size)
    checked(direct.KERNEL, x, weight, stride=stride, groups=groups, tolerance=1e-5)


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
    x, tolerance = rows(images, c_in, *size, half=half), 0.01 if half else 1e-4
    checked(winograd.KERNEL, x, weight, stride=1, groups=groups, tolerance=tolerance)


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
    x, tolerance = rows(images, channels, *size, half=half), 0.01 if half else 1e-5
    checked(depthwise.KERNEL, x, weight, stride=1, groups=channels, tolerance=tolerance)


def test_a_block_diagonal_kernel_is_zero_where_groups_do_not_meet() -> None:
    weight = torch.ones(8, 2, 1, 1)
    kernel = block_diagonal(weight, groups=4, together=2)
    assert kernel.shape == (8, 4, 1, 1)
    blocks = kernel.view(2, 2, 2, 2, 2)  # groups, block, its outputs, block, its inputs
    assert all(blocks[:, i, :, j].eq(float(i == j)).all() for i in (0, 1) for j in (0, 1))


# ---- every algorithm ----


def by(algorithm: Algorithm, shape: Shape) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, weight: algorithm.compute(x, weight, shape)


@settings(max_examples=60)
@given(
    groups=st.sampled_from([1, 2, 3, 4, 8, 12, 32]),
    widths=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2, 3]),
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    half=st.booleans(),
)
def test_every_algorithm_that_serves_computes_what_torchs_own_does(
    groups: int,
    widths: tuple[int, int],
    kernel: int,
    stride: int,
    size: tuple[int, int],
    *,
    half: bool,
) -> None:
    torch.manual_seed(0)
    c_in, c_out = (groups * width for width in widths)
    weight = torch.randn(c_out, widths[0], kernel, kernel)
    x = rows(2, c_in, *size, half=half)
    for algorithm in ALGORITHMS:
        shape = shape_of(x, weight, stride, groups)
        if not algorithm.serves(shape):
            continue
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = found_and_exact(by(algorithm, shape), x, weight, stride, groups)
        for one, other in found:
            # Sums of few numbers may come out near zero, all of them.
            room = (0.02 if half else 1e-4) * max(float(other.abs().max()), 0.1)
            assert float((one.detach().double() - other).abs().max()) < room, algorithm.name
        assert found[0][0].dtype is x.dtype


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("stride", "size"), [(2, (8, 8)), (2, (9, 7)), (3, (10, 11))])
def test_a_strided_1x1_convolution_is_one_of_the_pixels_that_it_sees(
    stride: int, size: tuple[int, int], favour: Write, *, half: bool
) -> None:
    conv = for_training(nn.Conv2d(24, 40, 1, stride, bias=False))
    x = rows(5, 24, *size, half=half).requires_grad_()
    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        for name in ("seen", "torch"):
            favour(name)
            y = conv(x)
            dy = torch.linspace(-1, 1, y.numel()).to(y.dtype).view(y.shape)
            found.append([y, *torch.autograd.grad(y, [x, *conv.parameters()], dy)])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert farthest(ours, theirs.detach()) < (0.02 if half else 1e-5)


def test_a_strided_depthwise_convolution_in_bf16_is_close_to_fp32(favour: Write) -> None:
    favour("fp32")
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, 2, 1, groups=16, bias=False)
    x = rows(4, 16, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = for_training(conv)(x.bfloat16())
    assert y.dtype is torch.bfloat16
    assert torch.allclose(y.float(), conv(x), atol=0.05)


# ---- laws of kernels ----


@compiled
@every_kernel
def test_what_is_infinite_or_no_number_stays_in_its_image(kernel: ConvKernel) -> None:
    x = rows(4, 4 * LANES, 8, 8)
    x[1, 0, 3, 3], x[2, 0, 3, 3] = torch.inf, torch.nan
    weight, groups = weights(kernel, 4 * LANES)
    y = convolved(kernel, x, weight, groups=groups)
    assert [bool(image.isfinite().all()) for image in y] == [True, False, False, True]


@compiled
def test_what_is_infinite_stays_where_a_depthwise_convolution_sees_it() -> None:
    x = torch.ones(2, 16, 4, 4).contiguous(memory_format=torch.channels_last)
    x[0, 3, 0, 0] = torch.inf
    weight = torch.ones(16, 1, 3, 3)
    y = convolved(depthwise.KERNEL, x, weight, groups=16)
    assert torch.equal(y, F.conv2d(x, weight, None, 1, 1, 1, 16))


@compiled
@every_kernel
def test_only_the_gradient_that_is_asked_for_is_computed(kernel: ConvKernel) -> None:
    weight, groups = weights(kernel, 4 * LANES)
    x = rows(2, 4 * LANES, 8, 8)
    for asked, other in ((x, weight), (weight, x)):
        asked.requires_grad_()
        convolved(kernel, x, weight, groups=groups).sum().backward()  # type: ignore[no-untyped-call]
        assert asked.grad is not None
        assert other.grad is None
        asked.requires_grad_(False)
        asked.grad = None


@compiled
@every_kernel
def test_it_is_used_twice_in_one_graph(kernel: ConvKernel) -> None:
    torch.manual_seed(0)
    weight, groups = weights(kernel, 2 * LANES)
    x = rows(2, 2 * LANES, 8, 8)

    def twice(x: Tensor, weight: Tensor) -> Tensor:
        return convolved(kernel, convolved(kernel, x, weight, 1, groups), weight, 1, groups)

    def exact(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, weight, None, 1, 1, 1, groups), weight, None, 1, 1, 1, groups)

    found, expected = list[Tensor](), list[Tensor]()
    for function, made in ((twice, found), (exact, expected)):
        given_ = [part.double() if function is exact else part for part in (x, weight)]
        given_ = [part.detach().requires_grad_() for part in given_]
        y = function(*given_)
        dy = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        made += [y.detach(), *torch.autograd.grad(y, given_, dy)]
    assert close([part.double() for part in found], expected, 1e-4)


@compiled
@every_kernel
def test_a_second_derivative_is_refused(kernel: ConvKernel) -> None:
    weight, groups = weights(kernel, LANES)
    x = rows(2, LANES, 4, 4).requires_grad_()
    y = convolved(kernel, x, weight.requires_grad_(), groups=groups)
    (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]


@compiled
@every_kernel
@pytest.mark.parametrize("half", [False, True])
def test_a_hook_that_gives_saved_tensors_back_otherwise_in_memory_changes_nothing(
    kernel: ConvKernel, *, half: bool
) -> None:
    torch.manual_seed(0)
    weight, groups = weights(kernel, 2 * LANES)
    x = rows(3, 2 * LANES, 5, 6, half=half).requires_grad_()
    weight = weight.requires_grad_()
    lanes = kernel.lanes
    assert lanes is not None
    if not kernel.serves(shape_of(x, weight, 1, groups), lanes):
        return
    dy = rows(3, 2 * LANES, 5, 6, half=half)
    expected = torch.autograd.grad(convolved(kernel, x, weight, 1, groups), [x, weight], dy)
    with saved_tensors_hooks(lambda saved: saved, unlike):
        y = convolved(kernel, x, weight, 1, groups)
    for one, other in zip(torch.autograd.grad(y, [x, weight], unlike(dy)), expected, strict=True):
        assert torch.equal(one, other)


@compiled
@every_kernel
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda saved: saved.detach().half(), "gave back torch.float16 of"),
        (lambda saved: saved.detach()[:1], "it has to give back what it got"),
        (lambda saved: saved.detach().to("meta"), "on meta for torch.float32 of"),
    ],
    ids=["type", "shape", "device"],
)
def test_a_hook_that_gives_back_something_else_is_refused(
    kernel: ConvKernel, change: Callable[[Tensor], Tensor], reason: str
) -> None:
    weight, groups = weights(kernel, 2 * LANES)
    x = rows(3, 2 * LANES, 5, 6).requires_grad_()
    with saved_tensors_hooks(lambda saved: saved, change):
        y = convolved(kernel, x, weight, 1, groups)
    with pytest.raises(ValueError, match=reason):
        torch.autograd.grad(y.sum(), x)


def test_kernels_refuse_what_is_not_on_the_cpu() -> None:
    with pytest.raises(ValueError, match="the kernels compute on the CPU, and a tensor is on meta"):
        as_rows(torch.empty(1, 8, 4, 4, device="meta"))


@compiled
@every_kernel
def test_kernels_refuse_weights_that_are_not_on_the_cpu(kernel: ConvKernel) -> None:
    weight, groups = weights(kernel, 2 * LANES)
    with pytest.raises(ValueError, match="the kernels compute on the CPU, and a tensor is on meta"):
        convolved(kernel, rows(2, 2 * LANES, 4, 4), weight.to("meta"), 1, groups)


@compiled
@every_kernel
def test_kernels_refuse_maps_with_gaps_in_memory(kernel: ConvKernel) -> None:
    weight, groups = weights(kernel, 2 * LANES)
    with pytest.raises(ValueError, match="the kernels read no tensor of strides"):
        convolved(kernel, rows(2, 2 * LANES, 4, 8)[..., ::2], weight, 1, groups)


# ---- when they are taken ----


@compiled
def test_kernels_are_taken_in_training_for_rows_of_channels(favour: Write) -> None:
    favour("winograd", "direct")
    conv, x = nn.Conv2d(64, 32, 3, 1, 1, bias=False), rows(32, 64, 8, 8)
    fast = for_training(conv)
    assert way(fast(x)) == BY_KERNEL
    assert way(convolve(x, conv.weight)) == BY_KERNEL
    assert way(fast(x.contiguous())) == BY_TORCH
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert way(fast(x.bfloat16())) == BY_KERNEL
        assert way(fast(x)) == BY_TORCH
    assert way(fast.eval()(x)) == BY_TORCH
    favour("torch")
    assert way(fast.train()(x)) == BY_TORCH


@compiled
@pytest.mark.parametrize(
    ("dtype", "cast"), [(torch.bfloat16, torch.float16), (torch.float32, torch.float16)], ids=str
)
def test_in_other_mixed_precision_it_is_torchs(
    favour: Write, dtype: torch.dtype, cast: torch.dtype
) -> None:
    favour("winograd", "direct")
    conv, x = nn.Conv2d(16, 16, 3, 1, 1, bias=False), rows(8, 16, 8, 8).to(dtype)
    with torch.autocast("cpu", dtype=cast):
        assert for_training(conv)(x).dtype is conv(x).dtype


UNFIT = [
    nn.Conv2d(64, 64, 3, 1, 0, bias=False),
    nn.Conv2d(64, 64, 3, 1, 1),  # a bias
    nn.Conv2d(64, 64, 3, 1, 2, dilation=2, bias=False),
    nn.Conv2d(64, 64, 3, 1, 1, padding_mode="reflect", bias=False),
    nn.Conv2d(64, 64, 3, 1, 1, padding_mode="circular", bias=False),
    nn.Conv2d(64, 64, 3, 1, "same", bias=False),
    nn.Conv2d(64, 64, 4, 1, 2, bias=False),
    nn.Conv2d(64, 64, (3, 1), 1, (1, 0), bias=False),
    nn.Conv2d(64, 64, 3, (1, 2), 1, bias=False),
    nn.Conv2d(32, 32, 3, 1, 0, groups=8, bias=False),
    nn.Conv2d(32, 32, (3, 5), 1, 1, groups=8, bias=False),
    nn.Conv2d(32, 32, 3, 1, 2, dilation=2, groups=8, bias=False),
    nn.Conv2d(64, 64, 3, 1, 1, bias=False).double(),
    nn.Conv2d(32, 32, 3, 1, 1, groups=8, bias=False).double(),
]


@pytest.mark.parametrize("conv", UNFIT, ids=str)
def test_what_they_cannot_do_is_done_by_torch(conv: nn.Conv2d, favour: Write) -> None:
    favour("direct", "winograd", "grouped", "depthwise")
    x = rows(16, conv.in_channels, 18, 18).to(conv.weight.dtype)
    y = for_training(conv)(x)
    assert way(y) == BY_TORCH
    assert torch.equal(y, conv(x))


@compiled
@pytest.mark.parametrize(
    ("conv", "served"),
    [
        (nn.Conv2d(3, 12, 3, 1, 1, bias=False), {"winograd", "direct"}),
        (nn.Conv2d(64, 64, 3, 2, 1, bias=False), {"direct"}),
        (nn.Conv2d(64, 64, 5, 1, 2, bias=False), {"direct"}),
        (nn.Conv2d(64, 64, 3, 1, 1, groups=2, bias=False), {"winograd", "direct"}),
        (nn.Conv2d(32, 64, 3, 1, 1, groups=8, bias=False), {"winograd", "direct", "together"}),
        (nn.Conv2d(32, 32, 7, 1, 3, groups=8, bias=False), {"direct", "together"}),
        (nn.Conv2d(32, 32, 1, 2, bias=False), {"direct", "seen"}),
        (nn.Conv2d(64, 64, 3, 2, 1, groups=64, bias=False), {"direct", "grouped", "together"}),
        (
            nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False),
            {"winograd", "direct", "grouped", "depthwise", "together"},
        ),
    ],
    ids=lambda part: str(part) if isinstance(part, nn.Module) else "",
)
def test_each_says_what_it_serves(conv: nn.Conv2d, served: set[str]) -> None:
    shape = shape_of(rows(8, conv.in_channels, 9, 9), conv.weight, conv.stride[0], conv.groups)
    names = {found.name for found in ALGORITHMS if found.serves(shape)}
    assert names - {"together"} == (served | {"torch"}) - {"together"}
    assert names - served <= {"torch", "together"}  # which depends on the lanes of a vector
    # In bfloat16 direct kernels are not there, and all may be computed in float32.
    half = {found.name for found in ALGORITHMS if found.serves(shape._replace(half=True))}
    assert half == names - {"direct"} | {"fp32"}


@compiled
def test_maps_that_do_not_fit_are_refused_and_one_image_will_do(favour: Write) -> None:
    favour("winograd", "grouped", "direct")
    conv = for_training(nn.Conv2d(64, 64, 3, 1, 1, bias=False))
    in_groups = for_training(nn.Conv2d(64, 64, 3, 1, 1, groups=8, bias=False))
    for channels in (32, 128):
        for module in (conv, in_groups):
            with pytest.raises(RuntimeError, match="channels"):
                module(rows(16, channels, 9, 9))
    assert conv(torch.randn(64, 9, 9)).shape == (64, 9, 9)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["torch", "winograd", "direct"])
def test_no_images_have_no_output_and_a_gradient_of_zeros(
    favour: Write, name: str, *, half: bool
) -> None:
    favour(name)
    conv = for_training(
        nn.Conv2d(16, 24, 3, 1, 1, bias=False).to(memory_format=torch.channels_last)
    )
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        y = conv(rows(0, 16, 8, 8, half=half))
    (gradient,) = torch.autograd.grad(y.sum(), list(conv.parameters()))
    assert y.shape == (0, 24, 8, 8)
    assert not gradient.any()


@compiled
@every_kernel
def test_frozen_weights_and_frozen_maps_are_allowed(kernel: ConvKernel, favour: Write) -> None:
    favour(kernel.name)
    weight, groups = weights(kernel, 2 * LANES)
    conv = nn.Conv2d(2 * LANES, 2 * LANES, 3, 1, 1, groups=groups, bias=False)
    fast, x = for_training(conv), rows(2, 2 * LANES, 6, 6)
    assert torch.equal(fast(x.requires_grad_(False)), fast(x.requires_grad_()))
    conv.requires_grad_(False)
    fast(x).sum().backward()
    assert x.grad is not None
    assert conv.weight.grad is None
    assert weight.shape == conv.weight.shape
    with torch.no_grad():
        assert not fast(x).requires_grad
    with torch.inference_mode():
        assert fast(x).is_inference()


@compiled
@every_kernel
def test_a_layer_computes_what_torchs_own_does(kernel: ConvKernel, favour: Write) -> None:
    favour(kernel.name)
    torch.manual_seed(0)
    _, groups = weights(kernel, 2 * LANES)
    conv = nn.Conv2d(2 * LANES, 2 * LANES, 3, 1, 1, groups=groups, bias=False)
    fast, x = for_training(conv), rows(4, 2 * LANES, 9, 7)
    assert way(fast(x)) == BY_KERNEL
    assert close(outputs_and_gradients(fast, x), outputs_and_gradients(conv, x), 1e-4)
