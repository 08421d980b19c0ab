"""Dense convolutions computed by kernels of our own are the same function, and train alike."""

from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_space.dense import DenseConv2d, convolved
from nas_space.kernels.direct import DirectFunction
from nas_space.kernels.winograd import WinogradFunction, kernels
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.overrides import TorchFunctionMode

from nas_space.convert import convert

compiled = pytest.mark.skipif(kernels() is None, reason="no C compiler")
LANES = found.lanes if (found := kernels()) is not None else 1


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def way(y: Tensor) -> str:
    return type(y.grad_fn).__name__


def farthest(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((found.detach().double() - exact).abs().max() / exact.abs().max())


def both(
    function: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    weight: Tensor,
    stride: int = 1,
) -> list[tuple[Tensor, Tensor]]:
    """Output and gradients, as found and as defined, in double precision."""
    x, weight = x.requires_grad_(), weight.requires_grad_()
    y = function(x, weight)
    dy = rows(*y.shape)
    exact = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    expected = F.conv2d(*exact, stride=stride, padding=weight.shape[2] // 2)
    gradients = torch.autograd.grad(y, [x, weight], dy)
    theirs = torch.autograd.grad(expected, exact, dy.double())
    return [(y, expected.detach()), *zip(gradients, theirs, strict=True)]


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
    output, *gradients = both(WinogradFunction.apply, x, weight)
    assert farthest(*output) < 3e-5
    # Of a sum that happens to be small little is left.
    assert all(farthest(*pair) < 1e-4 for pair in gradients)


@compiled
@pytest.mark.parametrize("images", [10, 150])
def test_minimal_filtering_of_many_channels_takes_more_tiles_at_a_time(images: int) -> None:
    torch.manual_seed(0)
    x, weight = rows(images, 180, 3, 4), rows(170, 180, 3, 3)
    assert all(farthest(*pair) < 1e-4 for pair in both(WinogradFunction.apply, x, weight))


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
    torch.manual_seed(0)
    x, weight = rows(images, widths[0], *size), rows(widths[1], widths[0], kernel, kernel)
    found = both(lambda x, weight: DirectFunction.apply(x, weight, stride), x, weight, stride)
    assert all(farthest(*pair) < 1e-5 for pair in found)


@compiled
@settings(max_examples=60)
@given(images=st.integers(1, 20), widths=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_direct_kernels_do_so_for_maps_of_2x2_with_fewer_products(
    images: int, widths: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    x, weight = rows(images, widths[0], 2, 2), rows(widths[1], widths[0], 3, 3)
    found = both(lambda x, weight: DirectFunction.apply(x, weight, 1), x, weight)
    assert all(farthest(*pair) < 1e-5 for pair in found)


@compiled
def test_a_gradient_lies_in_memory_as_the_weights_of_a_network_do() -> None:
    """Else torch would put it in order, in every step."""
    x, weight = rows(64, 64, 4, 4), rows(64, 64, 3, 3).requires_grad_()
    for y in (WinogradFunction.apply(x, weight), DirectFunction.apply(x, weight, 1)):
        (gradient,) = torch.autograd.grad(y.sum(), weight)
        assert gradient.stride() == weight.stride()


@compiled
def test_its_error_stays_small_for_many_images() -> None:
    torch.manual_seed(0)
    x, weight = rows(64, 64, 16, 16), torch.randn(64, 64, 3, 3).requires_grad_()
    dy = rows(64, 64, 16, 16)
    (found,) = torch.autograd.grad(WinogradFunction.apply(x, weight), weight, dy)
    exact = weight.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(F.conv2d(x.double(), exact, padding=1), exact, dy.double())
    assert farthest(found, expected) < 1e-4


@compiled
def test_what_is_infinite_or_no_number_stays_in_its_image() -> None:
    x = rows(4, LANES, 8, 8)
    x[1, 0, 3, 3], x[2, 0, 3, 3] = torch.inf, torch.nan
    y = WinogradFunction.apply(x, torch.randn(LANES, LANES, 3, 3))
    assert [bool(image.isfinite().all()) for image in y] == [True, False, False, True]


@compiled
def test_only_the_gradient_that_is_asked_for_is_computed() -> None:
    x, weight = rows(2, LANES, 8, 8), torch.randn(LANES, LANES, 3, 3)
    for asked, other in ((x, weight), (weight, x)):
        asked.requires_grad_()
        WinogradFunction.apply(x, weight).sum().backward()
        assert asked.grad is not None
        assert other.grad is None
        asked.requires_grad_(False)
        asked.grad = None


@compiled
def test_kernels_are_taken_in_training_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_space.dense.multiplies_matrices", lambda: False)
    conv, x = DenseConv2d(64, 32, 3, 1, 1, bias=False), rows(32, 64, 8, 8)
    assert way(conv(x)) == "WinogradFunctionBackward"
    assert way(convolved(x, conv.weight)) == "WinogradFunctionBackward"
    assert way(conv(x[:8])) == "DirectFunctionBackward", "too few tiles"
    assert way(conv(rows(4, 64, 9, 9))) == "ConvolutionBackward0", "nor few pixels"
    assert way(conv(x[:1])) == "ConvolutionBackward0", "too few images"
    assert way(conv(rows(512, 64, 2, 2))) == "DirectFunctionBackward", "tiles beyond the map"
    assert way(convolved(rows(9, 64, 2, 2), conv.weight)) == "DirectFunctionBackward"
    assert way(conv(x.contiguous())) == "ConvolutionBackward0"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert way(conv(x.bfloat16())) == "WinogradFunctionBackward"
        assert way(conv(x)) == "ConvolutionBackward0"
    conv.plan = "torch"
    assert way(conv(x)) == "ConvolutionBackward0"
    conv.plan = None
    assert way(conv.eval()(x)) == "ConvolutionBackward0"
    torch.set_num_threads(2)
    try:
        assert way(conv.train()(x)) == "ConvolutionBackward0"
    finally:
        torch.set_num_threads(1)


@compiled
def test_who_looks_on_sees_torchs_own_operations() -> None:
    seen = []

    class Looks(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., object],
            types: Sequence[type],
            args: Sequence[object] = (),
            kwargs: Mapping[str, object] | None = None,
        ) -> object:
            seen.append(func)
            return func(*args, **(kwargs or {}))

    conv, x = DenseConv2d(64, 32, 3, 1, 1, bias=False), rows(32, 64, 8, 8)
    with Looks():
        y = conv(x)
    assert way(y) == "ConvolutionBackward0"
    assert F.conv2d in seen


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("stride", "size"), [(2, (8, 8)), (2, (9, 7)), (3, (10, 11))])
def test_a_strided_1x1_convolution_is_one_of_the_pixels_that_it_sees(
    stride: int, size: tuple[int, int], *, half: bool
) -> None:
    conv = DenseConv2d(24, 40, 1, stride, bias=False)
    x = rows(5, 24, *size).to(torch.bfloat16 if half else torch.float32).requires_grad_()
    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        ways = conv.ways(x)
        assert list(ways)[-2:] == ["thinned", "torch"]
        for name in ("thinned", "torch"):
            y = ways[name](x)
            dy = torch.linspace(-1, 1, y.numel()).to(y.dtype).view(y.shape)
            found.append([y, *torch.autograd.grad(y, [x, conv.weight], dy)])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        assert farthest(ours, theirs.detach()) < (0.02 if half else 1e-5)


@pytest.mark.parametrize(
    "conv",
    [
        DenseConv2d(3, 12, 3, 1, 1, bias=False),
        DenseConv2d(64, 64, 3, 2, 1, bias=False),
        DenseConv2d(64, 64, 3, 1, 0, bias=False),
        DenseConv2d(64, 64, 3, 1, 1),  # a bias
        DenseConv2d(64, 64, 5, 1, 2, bias=False),
        DenseConv2d(64, 64, 3, 1, 2, dilation=2, bias=False),
        DenseConv2d(64, 64, 3, 1, 1, groups=2, bias=False),
        DenseConv2d(64, 64, 3, 1, 1, padding_mode="reflect", bias=False),
        DenseConv2d(272, 272, 3, 1, 1, bias=False),
        DenseConv2d(64, 64, 4, 1, 2, bias=False),
        DenseConv2d(64, 64, (3, 1), 1, (1, 0), bias=False),
        DenseConv2d(64, 64, 3, 1, 1, bias=False).double(),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_done_by_torch(conv: nn.Conv2d) -> None:
    x = rows(16, conv.in_channels, 18, 18).to(conv.weight.dtype)
    y = conv(x)
    assert way(y) == "ConvolutionBackward0"
    assert torch.equal(y, nn.Conv2d.forward(conv, x))


def test_maps_that_do_not_fit_are_refused_and_one_image_will_do() -> None:
    conv = DenseConv2d(64, 64, 3, 1, 1, bias=False)
    for channels in (32, 128):
        with pytest.raises(RuntimeError, match="channels"):
            conv(rows(16, channels, 9, 9))
    assert conv(torch.randn(64, 9, 9)).shape == (64, 9, 9)


def test_a_network_of_ours_can_be_converted() -> None:
    convs = (DenseConv2d(c_in, 32, 3, 1, 1, bias=False) for c_in in (3, 32))
    converted = convert(nn.Sequential(*convs), "xception", shape=(3, 8, 8))
    assert [str(layer.conv) for layer in converted.layers] == ["None", "xception"]
    assert converted.model(torch.randn(2, 3, 8, 8)).shape == (2, 32, 8, 8)
