"""What torch computes wrongly in bfloat16 is right in training, whoever calls it."""

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import rows, way
from trainers.fast import for_training, training
from trainers.fast.sound import corrected

BY_TORCH = "ConvolutionBackward0"

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def soil(count: int) -> None:
    """Leave large numbers in free memory, where torch finds room for so many."""
    for share in (1, 2, 4, 8):
        _kept = [torch.full((share * count + 64,), 3e33, dtype=torch.bfloat16) for _ in range(8)]


def gradients(module: Callable[[Tensor], Tensor], x: Tensor, *weights: Tensor) -> list[Tensor]:
    """Output, and gradients of the input and the weights."""
    x = x.detach().requires_grad_()
    y = module(x)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).bfloat16().to(y.dtype)
    for weight in weights:
        soil(weight.numel())
    return [y.detach(), *torch.autograd.grad(y, [x, *weights], dy)]


def close(one: list[Tensor], other: list[Tensor]) -> bool:
    """Within what bfloat16 rounds. Sums of few numbers may come out near zero, all of them."""
    return all(
        float((a.double() - b.double()).abs().max()) <= 0.04 * max(float(b.abs().max()), 0.5)
        for a, b in zip(one, other, strict=True)
    )


def exact(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The same in double precision."""
    twin = copy.deepcopy(module).double()
    return gradients(twin, x.double(), *twin.parameters())


@settings(max_examples=300)
@given(
    channels=st.tuples(st.sampled_from([1, 2, 8, 16, 32]), st.integers(1, 8), st.integers(1, 8)),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.one_of(pairs, st.sampled_from([(2, 2), (3, 3)])),
    dilation=st.integers(1, 2),
    padding=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    rowwise=st.booleans(),
)
def test_gradients_are_those_of_the_definition(
    channels: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: int,
    padding: tuple[int, int],
    size: tuple[int, int],
    *,
    rowwise: bool,
) -> None:
    fits = zip(size, padding, kernel, strict=True)
    assume(all(side + 2 * edge > dilation * (steps - 1) for side, edge, steps in fits))
    torch.manual_seed(0)
    groups, group_in, group_out = channels
    weight = torch.randn(groups * group_out, group_in, *kernel).bfloat16().float()
    x = rows(2, groups * group_in, *size, half=True)
    x = x if rowwise else x.contiguous()
    rest = (None, stride, padding, dilation, groups)
    known = weight.clone().requires_grad_()
    with corrected(), torch.autocast("cpu", torch.bfloat16):
        found = gradients(lambda x: F.conv2d(x, known, *rest), x, known)
    double = weight.double().requires_grad_()
    expected = gradients(lambda x: F.conv2d(x, double, *rest), x.double(), double)
    assert found[0].dtype is torch.bfloat16
    assert close(found, expected)


class Own(nn.Module):
    """Calls a function of torch with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16, 5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(input=x, weight=self.weight, stride=2, padding=2)


class Sub(nn.Conv2d):
    """A class of the user's own."""


class Twice(nn.Module):
    """Computes its forward again in the backward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = checkpoint(self.conv, x, use_reentrant=False)
        return y


class Line(nn.Module):
    """A convolution of one axis, plain or transposed."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.flatten(2))
        return y


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "3x3": lambda: nn.Conv2d(16, 16, 3, 2, 1, bias=False),
    "5x5": lambda: nn.Conv2d(16, 16, 5, 2, 2, bias=False),
    "7x7 of stride 3": lambda: nn.Conv2d(16, 16, 7, 3, 3, bias=False),
    "depthwise": lambda: nn.Conv2d(16, 16, 3, 2, 1, groups=16, bias=False),
    "in groups": lambda: nn.Conv2d(16, 16, 3, 2, 1, groups=8, bias=False),
    "with a bias": lambda: nn.Conv2d(16, 16, 3, 2, 1),
    "of a class of its own": lambda: Sub(16, 16, 3, 2, 1, bias=False),
    "a function": Own,
    "with a parametrised weight": lambda: parametrizations.weight_norm(
        nn.Conv2d(16, 16, 3, 2, 1, bias=False)
    ),
    "computed again": Twice,
    "of one axis": lambda: Line(nn.Conv1d(16, 16, 3, 2, 1)),
    "of one axis, transposed": lambda: Line(nn.ConvTranspose1d(16, 16, 3, 2, 1)),
    "transposed": lambda: nn.ConvTranspose2d(16, 16, 3, 2, 1),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_a_strided_layer_on_a_map_one_pixel_wide_has_its_gradients(
    name: str, threads: int, favour: Write
) -> None:
    favour("together")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    module = LAYERS[name]().to(memory_format=torch.channels_last)
    for parameter in module.parameters():
        parameter.data = parameter.data.bfloat16().float()
    x = rows(4, 16, 1, 1, half=True)
    fast = for_training(module)
    for _ in range(3):
        with training(fast):
            found = gradients(in_mixed_precision(fast), x, *fast.parameters())
        assert found[0].dtype is torch.bfloat16
        assert close(found, exact(module, x))


def in_mixed_precision(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A module's forward as a training calls it."""

    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y: Tensor = module(x)
        return y

    return forward


def test_a_script_has_its_gradients_too() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, 2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that scripts are old
        scripted = torch.jit.script(conv)
    x = rows(4, 16, 1, 1, half=True)
    with training(scripted):
        found = gradients(in_mixed_precision(scripted), x, *scripted.parameters())
    assert close(found, exact(conv, x))


@pytest.mark.parametrize(
    ("stride", "size"), [(1, (1, 1)), (1, (4, 4)), (2, (4, 4)), (2, (3, 3))], ids=str
)
def test_what_torch_computes_rightly_is_left_to_it(stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(16, 16, 3, stride, 1), rows(4, 16, *size)
    with torch.autocast("cpu", torch.bfloat16):
        plain = conv(x)
        with corrected():
            y = conv(x)
    assert way(y) == way(plain) == BY_TORCH
    assert torch.equal(y, plain)


def test_only_mixed_precision_in_bfloat16_is_touched() -> None:
    conv, x = nn.Conv2d(16, 16, 3, 2, 1), rows(4, 16, 1, 1)
    with corrected():
        assert way(conv(x)) == BY_TORCH
        with torch.autocast("cpu", torch.float16):
            assert way(conv(x)) == BY_TORCH
        with torch.autocast("cpu", torch.bfloat16):
            assert conv.double()(x.double()).dtype is torch.float64


def test_torchs_own_are_back_afterwards_and_after_an_error_too() -> None:
    conv, x = nn.Conv2d(16, 16, 3, 2, 1), rows(4, 16, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        with corrected(), corrected():
            assert way(conv(x)) != BY_TORCH
        assert way(conv(x)) == BY_TORCH
        with pytest.raises(RuntimeError, match="expected input"), corrected():
            conv(x[:, :3])
        assert way(conv(x)) == BY_TORCH
