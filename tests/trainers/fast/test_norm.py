"""Batch normalisation with its ReLU and residual: the kernels agree with torch's operations."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tests.trainers.fast.exact import unlike
from trainers.fast import for_training
from trainers.fast.kernels.norm import KERNELS
from trainers.fast.norm import NormAct

NHWC = torch.channels_last
CHANNELS = (1, 3, 8, 16, 24, 48, 64, 72, 96, 101, 128, 192, 256)
FORMS = ((True, True), (False, True), (False, False))
"""Whether there is a residual, whether there is a ReLU: what networks have."""

compiled = pytest.mark.skipif(not KERNELS.exist(), reason="no C compiler")


def images(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.to(dtype).contiguous(memory_format=NHWC)


def norm(channels: int) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made.weight.uniform_(-2, 2, generator=generator)
        made.bias.uniform_(-1, 1, generator=generator)
        made.running_mean = torch.rand(channels, generator=generator)
    return made


def fused(made: nn.BatchNorm2d, *, relu: bool = True) -> NormAct:
    return NormAct(made, relu=relu)


def is_fused(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "NormActFunctionBackward"


def plainly(
    made: nn.BatchNorm2d, x: Tensor, residual: Tensor | None, *, relu: bool = True
) -> Tensor:
    """As torch has it."""
    y: Tensor = made(x)
    if residual is not None:
        y = y + residual
    return F.relu(y) if relu else y


def results(
    made: nn.BatchNorm2d,
    x: Tensor,
    residual: Tensor | None,
    dy: Tensor,
    *,
    relu: bool = True,
    plain: bool = False,
) -> dict[str, Tensor]:
    """What one step gives, by name; leaves the arguments as they were."""
    made = copy.deepcopy(made)
    x = x.detach().requires_grad_()
    residual = residual.detach().requires_grad_() if residual is not None else None
    y = plainly(made, x, residual, relu=relu) if plain else fused(made, relu=relu)(x, residual)
    y.backward(dy)  # type: ignore[no-untyped-call]
    assert x.grad is not None
    found = {"y": y.detach(), "dx": x.grad, "mean": made.running_mean, "var": made.running_var}
    found |= {"dweight": made.weight.grad, "dbias": made.bias.grad}
    found |= {"batches": made.num_batches_tracked}
    if residual is not None:
        found["dresidual"] = residual.grad
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def exact(
    made: nn.BatchNorm2d, x: Tensor, residual: Tensor | None, dy: Tensor, *, relu: bool = True
) -> dict[str, Tensor]:
    """The same by torch in double precision."""
    wide = residual.double() if residual is not None else None
    double = copy.deepcopy(made).double()
    return results(double, x.double(), wide, dy.double(), relu=relu, plain=True)


def worst(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest relative error of a tensor, by its norm."""
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - expected[name]).double().norm())
        / max(float(expected[name].double().norm()), 1e-30)
        for name in expected
    )


def gradient(made: nn.BatchNorm2d, x: Tensor, residual: Tensor | None) -> Tensor:
    """A random dy, 0 where the rounding of y decides about the ReLU."""
    before = copy.deepcopy(made).double()
    y = plainly(before, x.double(), residual.double() if residual is not None else None, relu=False)
    decided: Tensor = y.abs() > 1e-4
    return images(*x.shape, dtype=x.dtype, seed=9) * decided


@compiled
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("residual", "relu"), FORMS)
@pytest.mark.parametrize("size", [(9, 1, 1), (3, 5, 7), (9, 16, 15)], ids=str)
def test_the_kernels_compute_what_torch_computes(
    channels: int, residual: bool, relu: bool, size: tuple[int, int, int]
) -> None:
    count, *sides = size
    x, r = (images(count, channels, *sides, seed=seed) for seed in range(2))
    made, other = norm(channels), r if residual else None
    dy = gradient(made, x, other)
    assert is_fused(fused(copy.deepcopy(made), relu=relu)(x, other))
    found, expected = (f(made, x, other, dy, relu=relu) for f in (results, exact))
    assert worst(found, expected) < 1e-5
    assert found["y"].is_contiguous(memory_format=NHWC)
    assert found["batches"] == expected["batches"] == 1


@compiled
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("residual", "relu"), FORMS)
def test_the_kernels_round_bfloat16_once(channels: int, residual: bool, relu: bool) -> None:
    half = torch.bfloat16
    x, r = (images(5, channels, 7, 9, dtype=half, seed=seed) for seed in range(2))
    made, other = norm(channels), r if residual else None
    dy = gradient(made, x, other)
    assert is_fused(fused(copy.deepcopy(made), relu=relu)(x, other))
    found, expected = (f(made, x, other, dy, relu=relu) for f in (results, exact))
    assert found["y"].dtype is found["dx"].dtype is half
    wide = {name for name in found if found[name].dtype is torch.float32}
    assert wide == {"dweight", "dbias", "mean", "var"}
    assert worst(found, expected) < 2**-9  # a rounding is at most that
    only = ({name: part[name] for name in wide} for part in (found, expected))
    assert worst(*only) < 1e-5


@compiled
def test_bfloat16_is_rounded_to_nearest_even() -> None:
    # Without a weight y is the bias: here halfway between two neighbours, whose last bits differ.
    made = nn.BatchNorm2d(16)
    with torch.no_grad():
        made.weight.zero_()
        made.bias.copy_(1 + (torch.arange(16) * 2 + 1) * 2**-8)
    y = fused(made, relu=False)(images(4, 16, 3, 3, dtype=torch.bfloat16))
    assert is_fused(y)
    assert torch.equal(y, made.bias.bfloat16()[:, None, None].expand_as(y))


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_mean_far_above_the_deviation_costs_no_accuracy(dtype: torch.dtype) -> None:
    half = dtype is torch.bfloat16
    x = (images(32, 24, 16, 16) * (4 if half else 0.1) + 100).to(dtype)
    made = norm(24)
    dy = gradient(made, x, None)
    found, expected = (f(made, x, None, dy) for f in (results, exact))
    assert worst({"var": found["var"]}, {"var": expected["var"]}) < 1e-5
    # As a float the mean is up to 4e-6 off, 4e-5 of the deviation: so is y, whoever computes it.
    assert worst(found, expected) < (2**-8 if half else 1e-4)


@compiled
def test_a_first_pixel_far_off_costs_no_accuracy() -> None:
    x = images(64, 16, 16, 16)
    x[0, :, 0, 0] = 100
    made = norm(16)
    dy = gradient(made, x, None)
    found, expected = (f(made, x, None, dy) for f in (results, exact))
    assert worst(found, expected) < 1e-5


@compiled
def test_the_same_inputs_give_the_same_bits() -> None:
    x, r, dy = (images(7, 24, 9, 11, seed=seed) for seed in range(3))
    first, second = (results(norm(24), x, r, dy) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("by_kernels", [pytest.param(True, marks=compiled), False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_hidden(by_kernels: bool, dtype: torch.dtype, bad: float) -> None:
    x, r, dy = (images(2, 8, 3, 3, dtype=dtype, seed=seed) for seed in range(3))
    if not by_kernels:
        x = x.contiguous()
    x[0, 3, 1, 1] = bad
    y = fused(norm(8))(x)
    assert is_fused(y) == by_kernels
    assert y[:, 3].isnan().all()
    assert y[:, :3].isfinite().all()
    x, r[0, 3, 1, 1] = images(2, 8, 3, 3, dtype=dtype), math.nan
    y = fused(norm(8))(x, r)
    assert y.isnan().nonzero().tolist() == [[0, 3, 1, 1]]
    dy[0, 3, 1, 1] = bad
    found = results(norm(8), x, r.nan_to_num(9), dy)
    assert not found["dx"][:, 3].isfinite().any()
    assert not found["dbias"][3].isfinite()
    assert found["dx"][:, :3].isfinite().all()


@pytest.mark.parametrize("layout", [NHWC, torch.contiguous_format], ids=str)
def test_one_value_a_channel_is_refused_as_torch_does(layout: torch.memory_format) -> None:
    x = torch.zeros(1, 8, 1, 1).contiguous(memory_format=layout)
    for fast in (fused(norm(8)), for_training(norm(8))):
        with pytest.raises(
            ValueError, match="Expected more than 1 value per channel when training"
        ):
            fast(x)
        with pytest.raises(ValueError, match="expected 4D input"):
            fast(x[0])
    assert for_training(norm(8)).eval()(x).shape == x.shape


def test_the_plain_way_is_torch_to_the_bit() -> None:
    x, r, dy = (images(4, 8, 5, 5, seed=seed).contiguous() for seed in range(3))
    found = results(norm(8), x, r, dy)
    expected = results(norm(8), x, r, dy, plain=True)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


UNFIT = {
    "rows of pixels": (images(4, 8, 5, 5).contiguous(), None),
    "every other pixel": (images(4, 8, 5, 5)[:, :, ::2], None),
    "some of the channels": (images(4, 16, 5, 5)[:, :8], None),
    "double": (images(4, 8, 5, 5).double(), None),
    "another type of residual": (images(4, 8, 5, 5), images(4, 8, 5, 5).double()),
    "another layout of residual": (images(4, 8, 5, 5), images(4, 8, 5, 5).contiguous()),
    "a smaller residual": (images(4, 8, 5, 5), images(1, 8, 1, 1)),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_the_kernels_goes_the_plain_way(case: str) -> None:
    x, residual = UNFIT[case]
    made = norm(8).to(torch.float64 if x.dtype is torch.float64 else torch.float32)
    y = fused(made)(x, residual)
    assert y.requires_grad
    assert not is_fused(y)
    wide = residual.double() if residual is not None else None
    reference = plainly(norm(8).double(), x.double(), wide)
    torch.testing.assert_close(y.double(), reference, rtol=1e-5, atol=1e-5)


@compiled
def test_a_residual_without_a_relu_is_added() -> None:
    x, r, dy = (images(4, 8, 5, 5, seed=seed) for seed in range(3))
    made = norm(8)
    found, expected = (f(made, x, r, dy, relu=False) for f in (results, exact))
    assert worst(found, expected) < 1e-5


def test_parameters_that_do_not_fit_are_refused_by_torch() -> None:
    with pytest.raises(RuntimeError, match="running_mean should contain"):
        for_training(norm(8))(images(4, 16, 5, 5))


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("changed", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_parameters_of_another_type_since_then_are_never_read_as_others(
    dtype: torch.dtype, changed: torch.dtype
) -> None:
    """C would take their bytes for numbers in float32, and read beyond them."""
    made, x = norm(8), images(4, 8, 5, 5, dtype=dtype)
    fast = for_training(made)
    made.to(changed)
    try:
        expected = copy.deepcopy(made)(x)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            fast(x)
    else:
        assert torch.equal(fast(x), expected)


@compiled
def test_evaluation_goes_the_plain_way() -> None:
    x = images(4, 8, 5, 5)
    assert is_fused(for_training(norm(8))(x))
    assert not is_fused(for_training(norm(8)).eval()(x))
    assert not is_fused(fused(norm(8).eval())(x))
    assert torch.equal(for_training(norm(8)).eval()(x), norm(8).eval()(x))


@pytest.mark.parametrize(
    "made",
    [
        nn.BatchNorm2d(8, momentum=None),
        nn.BatchNorm2d(8, affine=False),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.BatchNorm2d(8).double(),
        nn.BatchNorm2d(8).bfloat16(),
        nn.BatchNorm1d(8),
        nn.InstanceNorm2d(8),
        nn.SyncBatchNorm(8),
    ],
    ids=str,
)
def test_other_normalisations_are_not_taken(made: nn.Module) -> None:
    assert not NormAct.takes(made)


def test_momentum_none_averages_all_batches_as_torch_does() -> None:
    made = norm(8)
    made.momentum = None
    made.reset_running_stats()
    batches = [images(4, 8, 5, 5, seed=seed) for seed in range(3)]
    fast = for_training(nn.Sequential(made, nn.ReLU()))
    for x in batches:
        fast(x)
    assert made.num_batches_tracked == 3
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in batches]).mean(dim=0)
    torch.testing.assert_close(made.running_mean, mean)


@compiled
def test_batches_are_counted_as_torch_does_and_a_missing_count_is_no_error() -> None:
    made = norm(8)
    for number in range(1, 4):
        assert is_fused(for_training(made)(images(4, 8, 5, 5)))
        assert made.num_batches_tracked == number
        assert made.num_batches_tracked.dtype is torch.int64
    made.num_batches_tracked = None
    assert not is_fused(for_training(made)(images(4, 8, 5, 5)))


@compiled
def test_a_frozen_input_and_frozen_parameters_are_allowed() -> None:
    x, r = images(4, 8, 5, 5), images(4, 8, 5, 5, seed=1).requires_grad_()
    made = norm(8).requires_grad_(False)
    fast = fused(made)
    fast(x, r).sum().backward()  # type: ignore[no-untyped-call]
    assert r.grad is not None
    assert made.weight.grad is None
    with torch.no_grad():
        assert not fast(x, r).requires_grad
    with torch.inference_mode():
        assert fast(x, r).is_inference()


@compiled
def test_it_is_used_twice_in_one_graph() -> None:
    fast, x = fused(norm(8)), images(4, 8, 5, 5).requires_grad_()
    total = (fast(x) + fast(x.contiguous()) + fast(x)).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None


@compiled
def test_a_second_derivative_is_refused() -> None:
    x = images(4, 8, 5, 5).requires_grad_()
    (dx,) = torch.autograd.grad(fused(norm(8))(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]


@compiled
@pytest.mark.parametrize(("residual", "relu"), FORMS)
def test_a_hook_that_gives_saved_tensors_back_otherwise_in_memory_changes_nothing(
    residual: bool, relu: bool
) -> None:
    x, r, dy = (images(3, 16, 5, 6, seed=seed) for seed in range(3))
    made, other = norm(16), r if residual else None
    expected = results(made, x, other, dy, relu=relu)
    with saved_tensors_hooks(lambda saved: saved, unlike):
        found = results(made, x, other, unlike(dy), relu=relu)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


def test_no_images_are_what_they_are_to_torch() -> None:
    x = images(0, 8, 5, 5)
    try:
        expected = norm(8)(x)
    except ValueError:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            for_training(norm(8))(x)
    else:
        assert torch.equal(for_training(norm(8))(x), expected)


def test_the_names_of_the_state_are_those_of_batch_norm() -> None:
    fast = for_training(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()))
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert list(fast.state_dict()) == [f"0.{part}" for part in parts]
    fast.load_state_dict(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()).state_dict(), strict=True)
