"""Batch normalisation with its ReLU and residual: the two ways of computing it agree."""

import copy
import math
import random
import warnings
from collections.abc import Iterator, Mapping

import pytest
import torch
from nas_space.kernels.norm import kernels
from nas_space.norm import NormAct
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.utils.flop_counter import FlopCounterMode

from nas_space import norm
from nas_space.spaces import get
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.skeletons import read_architecture

NHWC = torch.channels_last
CHANNELS = (1, 3, 8, 16, 24, 48, 64, 72, 96, 101, 128, 192, 256)
FORMS = ((True, True), (False, True), (False, False))
"""Whether there is a residual, whether there is a ReLU: what the kernels know."""

compiled = pytest.mark.skipif(kernels() is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def images(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.to(dtype).contiguous(memory_format=NHWC)


def module(channels: int, *, relu: bool = True) -> NormAct:
    made = NormAct(channels, relu=relu)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made.weight.uniform_(-2, 2, generator=generator)
        made.bias.uniform_(-1, 1, generator=generator)
        made.running_mean = torch.rand(channels, generator=generator)
    return made


def is_fused(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "NormActFunctionBackward"


def results(made: NormAct, x: Tensor, residual: Tensor | None, dy: Tensor) -> dict[str, Tensor]:
    """What one step gives, by name; leaves the arguments as they were."""
    made = copy.deepcopy(made)
    x = x.detach().requires_grad_()
    residual = residual.detach().requires_grad_() if residual is not None else None
    y = made(x, residual)
    y.backward(dy)
    assert x.grad is not None
    found = {"y": y.detach(), "dx": x.grad, "mean": made.running_mean, "var": made.running_var}
    found |= {"dweight": made.weight.grad, "dbias": made.bias.grad}
    if residual is not None:
        found["dresidual"] = residual.grad
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def exact(made: NormAct, x: Tensor, residual: Tensor | None, dy: Tensor) -> dict[str, Tensor]:
    """The same by torch in double precision."""
    wide = residual.double() if residual is not None else None
    return results(copy.deepcopy(made).double(), x.double(), wide, dy.double())


def worst(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest relative error of a tensor, by its norm."""
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - expected[name]).norm() / expected[name].norm().clamp_min(1e-30))
        for name in expected
    )


def gradient(made: NormAct, x: Tensor, residual: Tensor | None) -> Tensor:
    """A random dy, 0 where the rounding of y decides about the ReLU."""
    before = copy.deepcopy(made).double()
    before.relu = False
    y = before(x.double(), residual.double() if residual is not None else None)
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
    made, other = module(channels, relu=relu), r if residual else None
    dy = gradient(made, x, other)
    assert is_fused(copy.deepcopy(made)(x, other))
    found, expected = (f(made, x, other, dy) for f in (results, exact))
    assert worst(found, expected) < 1e-5
    assert found["y"].is_contiguous(memory_format=NHWC)


@compiled
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("residual", "relu"), FORMS)
def test_the_kernels_round_bfloat16_once(channels: int, residual: bool, relu: bool) -> None:
    half = torch.bfloat16
    x, r = (images(5, channels, 7, 9, dtype=half, seed=seed) for seed in range(2))
    made, other = module(channels, relu=relu), r if residual else None
    dy = gradient(made, x, other)
    assert is_fused(copy.deepcopy(made)(x, other))
    found, expected = (f(made, x, other, dy) for f in (results, exact))
    assert found["y"].dtype is found["dx"].dtype is half
    wide = {name for name in found if found[name].dtype is torch.float32}
    assert wide == {"dweight", "dbias", "mean", "var"}
    assert worst(found, expected) < 2**-9  # a rounding is at most that
    only = ({name: part[name] for name in wide} for part in (found, expected))
    assert worst(*only) < 1e-5


@compiled
def test_bfloat16_is_rounded_to_nearest_even() -> None:
    # Without a weight y is the bias: here halfway between two neighbours, whose last bits differ.
    made = NormAct(16, relu=False)
    with torch.no_grad():
        made.weight.zero_()
        made.bias.copy_(1 + (torch.arange(16) * 2 + 1) * 2**-8)
    y = made(images(4, 16, 3, 3, dtype=torch.bfloat16))
    assert is_fused(y)
    assert torch.equal(y, made.bias.bfloat16()[:, None, None].expand_as(y))


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_mean_far_above_the_deviation_costs_no_accuracy(dtype: torch.dtype) -> None:
    half = dtype is torch.bfloat16
    x = (images(32, 24, 16, 16) * (4 if half else 0.1) + 100).to(dtype)
    made = module(24)
    dy = gradient(made, x, None)
    found, expected = (f(made, x, None, dy) for f in (results, exact))
    assert worst({"var": found["var"]}, {"var": expected["var"]}) < 1e-5
    # As a float the mean is up to 4e-6 off, 4e-5 of the deviation: so is y, whoever computes it.
    assert worst(found, expected) < (2**-8 if half else 1e-4)


@compiled
def test_a_first_pixel_far_off_costs_no_accuracy() -> None:
    x = images(64, 16, 16, 16)
    x[0, :, 0, 0] = 100
    made = module(16)
    dy = gradient(made, x, None)
    found, expected = (f(made, x, None, dy) for f in (results, exact))
    assert worst(found, expected) < 1e-5


@compiled
def test_the_same_inputs_give_the_same_bits() -> None:
    x, r, dy = (images(7, 24, 9, 11, seed=seed) for seed in range(3))
    first, second = (results(module(24), x, r, dy) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("fused", [pytest.param(True, marks=compiled), False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_hidden(fused: bool, dtype: torch.dtype, bad: float) -> None:
    x, r, dy = (images(2, 8, 3, 3, dtype=dtype, seed=seed) for seed in range(3))
    if not fused:
        x = x.contiguous()
    made = module(8)
    x[0, 3, 1, 1] = bad
    y = made(x)
    assert is_fused(y) == fused
    assert y[:, 3].isnan().all()
    assert y[:, :3].isfinite().all()
    x, r[0, 3, 1, 1] = images(2, 8, 3, 3, dtype=dtype), math.nan
    y = made(x, r)
    assert y.isnan().nonzero().tolist() == [[0, 3, 1, 1]]
    dy[0, 3, 1, 1] = bad
    found = results(module(8), x, r.nan_to_num(9), dy)
    assert not found["dx"][:, 3].isfinite().any()
    assert not found["dbias"][3].isfinite()
    assert found["dx"][:, :3].isfinite().all()


@pytest.mark.parametrize("layout", [NHWC, torch.contiguous_format], ids=str)
def test_one_value_a_channel_is_refused_as_torch_does(layout: torch.memory_format) -> None:
    x = torch.zeros(1, 8, 1, 1).contiguous(memory_format=layout)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        NormAct(8)(x)
    with pytest.raises(ValueError, match="expected 4D input"):
        NormAct(8)(x[0])
    assert NormAct(8).eval()(x).shape == x.shape


def test_the_plain_way_is_torch_to_the_bit() -> None:
    x, r, dy = (images(4, 8, 5, 5, seed=seed).contiguous() for seed in range(3))
    twin = nn.BatchNorm2d(8)
    twin.load_state_dict(module(8).state_dict())
    found = results(module(8), x, r, dy)
    x.requires_grad_()
    y = F.relu(twin(x) + r)
    y.backward(dy)  # type: ignore[no-untyped-call]
    expected = {"y": y, "dx": x.grad, "dweight": twin.weight.grad, "dbias": twin.bias.grad}
    expected |= {"mean": twin.running_mean, "var": twin.running_var}
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
    made = module(8).to(torch.float64 if x.dtype is torch.float64 else torch.float32)
    y = made(x, residual)
    assert y.requires_grad
    assert not is_fused(y)
    reference = (
        module(8).double()._plain(x.double(), residual.double() if residual is not None else None)
    )
    torch.testing.assert_close(y.double(), reference, rtol=1e-5, atol=1e-5)


def test_a_residual_without_a_relu_goes_the_plain_way() -> None:
    x, r = images(4, 8, 5, 5), images(4, 8, 5, 5, seed=1)
    y = module(8, relu=False)(x, r)
    assert not is_fused(y)
    torch.testing.assert_close(y, module(8, relu=False)(x) + r)


def test_parameters_that_do_not_fit_are_refused_by_torch() -> None:
    with pytest.raises(RuntimeError, match="running_mean should contain"):
        NormAct(8)(images(4, 16, 5, 5))


@compiled
def test_more_threads_evaluation_and_meta_tensors_go_the_plain_way() -> None:
    x = images(4, 8, 5, 5)
    assert is_fused(module(8)(x))
    assert not is_fused(module(8).eval()(x))
    assert module(8).to("meta")(x.to("meta")).is_meta
    torch.set_num_threads(2)
    assert not is_fused(module(8)(x))


def test_momentum_none_averages_all_batches_as_torch_does() -> None:
    made = module(8)
    made.momentum = None
    made.reset_running_stats()
    batches = [images(4, 8, 5, 5, seed=seed) for seed in range(3)]
    for x in batches:
        made(x)
    assert made.num_batches_tracked == 3
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in batches]).mean(dim=0)
    torch.testing.assert_close(made.running_mean, mean)


@compiled
def test_a_frozen_input_and_frozen_parameters_are_allowed() -> None:
    x, r = images(4, 8, 5, 5), images(4, 8, 5, 5, seed=1).requires_grad_()
    made = module(8).requires_grad_(False)
    made(x, r).sum().backward()
    assert r.grad is not None
    assert made.weight.grad is None
    with torch.no_grad():
        assert not made(x, r).requires_grad
    with torch.inference_mode():
        assert made(x, r).is_inference()


@compiled
def test_it_is_used_twice_in_one_graph() -> None:
    made, x = module(8), images(4, 8, 5, 5).requires_grad_()
    total = (made(x) + made(x.contiguous()) + made(x)).sum()
    total.backward()
    assert x.grad is not None


@compiled
def test_a_second_derivative_is_refused() -> None:
    x = images(4, 8, 5, 5).requires_grad_()
    (dx,) = torch.autograd.grad(module(8)(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()  # type: ignore[no-untyped-call]


def resnet() -> Architecture:
    stages = [{"width": w, "blocks": [["regular", "regular"]]} for w in (8, 16)]
    data = {"format": 1, "skeleton": "residual", "stem": "regular", "stages": stages}
    return read_architecture(data)


def mixed(seed: int) -> Architecture:
    chance = random.Random(seed)
    return get("mixed").decode({p.name: chance.choice(p.labels) for p in get("mixed").parameters})


def losses(architecture: Architecture, steps: int = 3, *, amp: bool = False) -> list[float]:
    network = build(architecture, 3, 10).to(memory_format=NHWC).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    x, labels = images(32, 3, 8, 8), torch.arange(32) % 10
    found = []
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            logits = network(x)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(loss.item())
    return found


@compiled
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_network_trains_alike_with_and_without_kernels(
    monkeypatch: pytest.MonkeyPatch, seed: int, amp: bool
) -> None:
    fused = losses(mixed(seed), amp=amp)
    monkeypatch.setattr(norm, "kernels", lambda: None)
    plain = losses(mixed(seed), amp=amp)
    assert fused != plain
    assert fused == pytest.approx(plain, rel=5e-2 if amp else 1e-3)
    assert fused[-1] < fused[0]


@compiled
@pytest.mark.parametrize("amp", [False, True])
def test_every_normalisation_of_a_network_in_training_takes_the_kernels(amp: bool) -> None:
    network, x = training_network()
    taken = []
    for part in network.modules():
        if isinstance(part, NormAct):
            part.register_forward_hook(lambda _module, _x, y: taken.append(is_fused(y)))
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        network(x)
    assert taken == [True] * (1 + 4 + 1)


def test_the_names_of_the_state_are_those_of_batch_norm() -> None:
    network = build(resnet(), 3, 10)
    norms = [name for name, part in network.named_modules() if isinstance(part, nn.BatchNorm2d)]
    blocks = [f"blocks.{b}.{bn}" for b in (0, 1) for bn in ("bn1", "bn2")]
    assert sorted(norms) == sorted(["stem.1", *blocks, "blocks.1.shortcut.1"])
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    rest = ["stem.0.weight", "classifier.weight", "classifier.bias", "blocks.1.shortcut.0.weight"]
    rest += [f"blocks.{b}.{conv}.weight" for b in (0, 1) for conv in ("conv1", "conv2")]
    assert sorted(network.state_dict()) == sorted(
        [*rest, *(f"{name}.{part}" for name in norms for part in parts)]
    )
    NormAct(8).load_state_dict(nn.BatchNorm2d(8).state_dict(), strict=True)


def training_network() -> tuple[nn.Module, Tensor]:
    return build(resnet(), 3, 10).to(memory_format=NHWC).train(), images(4, 3, 8, 8)


def operations(graph: torch.fx.Graph) -> str:
    return " ".join(str(node.target) for node in graph.nodes)


def test_exporting_a_network_in_training_records_torchs_operations() -> None:
    network, x = training_network()
    exported = torch.export.export(network, (x,))
    assert operations(exported.graph).count("batch_norm") == 6


def test_tracing_a_network_in_training_records_torchs_operations() -> None:
    network, x = training_network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that its tracer is old
        traced = torch.jit.trace(network, x, check_trace=False)  # type: ignore[no-untyped-call]
    assert str(traced.inlined_graph).count("aten::batch_norm") == 6


def test_compiling_a_network_in_training_finds_torchs_operations() -> None:
    network, x = training_network()
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph.graph)
        return graph

    torch.compile(network, backend=backend, fullgraph=True)(x)
    assert sum(operations(graph).count("batch_norm") for graph in graphs) == 6
    torch.compiler.reset()


def test_dispatch_modes_see_torchs_operations() -> None:
    network, x = training_network()
    seen = torch.fx.experimental.proxy_tensor.make_fx(network, tracing_mode="real")(x)
    assert operations(seen.graph).count("native_batch_norm") == 6
    with FlopCounterMode(display=False) as counter:
        network(x)
    assert counter.get_total_flops() > 0


def test_function_transforms_go_through_a_network_in_training() -> None:
    network, x = training_network()
    parameters = dict(network.named_parameters())

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = torch.func.functional_call(network, dict(parameters), (x,))
        return out.square().sum()

    transformed = torch.func.grad(loss)(parameters)
    network.zero_grad()
    loss(parameters).backward()  # type: ignore[no-untyped-call]
    for name, parameter in parameters.items():
        torch.testing.assert_close(transformed[name], parameter.grad, rtol=1e-3, atol=1e-3)
