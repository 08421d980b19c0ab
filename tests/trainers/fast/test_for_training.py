"""The twin of any module computes the module's function, and trains the module."""

import copy
import os
import random
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F  # noqa: N812 - torch's own idiom
from torch.nn.utils import parametrizations

from nas_space.papers import get as network
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get, spaces
from nas_space.spaces.skeletons import read_architecture
from tests.nas_space.conversion.models import Controlled, Small
from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import rows, unlike, way
from trainers.fast import for_training, training
from trainers.fast.algorithms import fastest
from trainers.fast.kernels.convolution import Shape
from trainers.fast.kernels.norm import KERNELS as NORM

compiled = pytest.mark.skipif(not NORM.exist(), reason="no C compiler")

KERNELS = ("direct", "winograd", "grouped", "depthwise", "seen", "together", "mixed", "dense")
"""Each before the others, and all of them before torch."""
NHWC = torch.channels_last

Make = Callable[[], nn.Module]


@pytest.fixture(autouse=True)
def _seeded(favour: Write) -> None:
    favour()
    torch.manual_seed(0)
    random.seed(0)


def drawn(space: str, seed: int = 0) -> Architecture:
    chance = random.Random(seed)
    return get(space).decode({p.name: chance.choice(p.labels) for p in get(space).parameters})


def searched(space: str, seed: int = 0) -> nn.Module:
    return build(drawn(space, seed), 3, 10)


# ---- modules as users have them ----


class Shared(nn.Module):
    """One submodule in two places, and by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.one = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.two = self.one
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.stem(x)))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class Tied(nn.Module):
    """One parameter in two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.two = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.two(F.relu(self.norm(self.one(x))))
        return y.mean(dim=(2, 3))


class Choosing(nn.Module):
    """Python decides, by what it sees and by where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, 8, 3, padding=1, bias=False) for c in (3, 8, 8))
        self.norms = nn.ModuleDict({str(n): nn.BatchNorm2d(8) for n in range(3)})

    def forward(self, x: Tensor) -> Tensor:
        for number, conv in enumerate(self.convs):
            y = self.norms[str(number)](conv(x))
            x = F.relu(y) if number == 0 or x.mean() < 1e9 else y
        if self.training:
            x = x * 2
        return x.mean(dim=(2, 3))


class Methods(nn.Module):
    """Its forward is spread over methods."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x))) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean(dim=(2, 3))


class Keeping(nn.Module):
    """Writes into a buffer, and puts another in the place of one, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.calls: Tensor
        self.mean: Tensor
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x)).mean(dim=(2, 3))
        if self.training:
            self.calls += 1
            self.mean = self.mean * 0.5 + y.detach().mean(dim=0)
        shifted: Tensor = y + self.mean
        return shifted


def layers(*parts: nn.Module, width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), *parts
    )


def frozen() -> nn.Module:
    module = layers(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    for number in (1, 4):
        module[number].eval()
        module[number].running_mean = torch.rand(8)
    module[0].requires_grad_(False)
    module[4].requires_grad_(False)
    return module


def normed() -> nn.Module:
    conv = parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1, bias=False))
    spectral = parametrizations.spectral_norm(nn.Conv2d(8, 8, 1, bias=False))
    return layers(conv, nn.BatchNorm2d(8), nn.ReLU(), spectral)


def of_a_user() -> nn.Module:
    """Small without the layer that never runs, and without a bias that a norm cancels."""
    module = Small()
    module.unused = nn.Identity()  # type: ignore[assignment]
    module.wide.bias = None
    return module


MODULES: dict[str, Make] = {
    **{f"space {name}": lambda name=name: searched(name) for name in (*spaces(), "mixed@2")},  # type: ignore[misc]
    "igc-l4m8-d20-ident": lambda: network("igc-l4m8-d20-ident").build(),
    "igcv2-w48-d20": lambda: network("igcv2-w48-d20").build(),
    "oct-resnet-26-v2-a0.25": lambda: network("oct-resnet-26-v2-a0.25").build(),
    "oct-mobilenet-v1-1-a0.5": lambda: network("oct-mobilenet-v1-1-a0.5").build(),
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(num_classes=10, dropout=0.0),
    "of a user": of_a_user,
    "shared": Shared,
    "tied": Tied,
    "choosing": Choosing,
    "methods": Methods,
    "keeping": Keeping,
    "bias": lambda: layers(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
    "circular": lambda: layers(
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular", bias=False), nn.ReLU()
    ),
    "parametrizations": normed,
    "frozen": frozen,
    "momentum none": lambda: layers(nn.BatchNorm2d(8, momentum=None), nn.ReLU()),
    "without affine": lambda: layers(nn.BatchNorm2d(8, affine=False), nn.ReLU()),
    "nothing tracked": lambda: layers(nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU()),
}
LARGE = {"oct-resnet-26-v2-a0.25", "oct-mobilenet-v1-1-a0.5", "resnet18", "mobilenet_v2"}


def made(name: str) -> tuple[nn.Module, Tensor]:
    module = MODULES[name]().to(memory_format=NHWC)
    side = 64 if name in LARGE else 16
    return module, rows(8, 3, side, side, seed=1)


def outputs(found: object) -> Tensor:
    assert isinstance(found, Tensor)
    return found


def step(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Output, gradients and buffers after a step, by name; the module keeps its buffers."""
    x = x.detach().clone().requires_grad_()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    y = outputs(module(x))
    weights = {n: p for n, p in module.named_parameters() if p.requires_grad}
    dy = torch.linspace(-1, 1, y.numel()).view(y.shape).to(y.dtype)
    gradients = torch.autograd.grad(y, [x, *weights.values()], dy)
    found = {"y": y.detach(), "dx": gradients[0]}
    found |= {f"d{name}": part for name, part in zip(weights, gradients[1:], strict=True)}
    for name, buffer in module.named_buffers():
        found[name] = buffer.detach().clone()
        with torch.no_grad():
            buffer.copy_(before[name])
    return found


def error(found: Tensor, exact: Tensor, room: float) -> float:
    """By the norm, as a share of the exact one's; of what is nearly zero of the room it has."""
    exact = exact.double()
    return float((found.double() - exact).norm()) / max(float(exact.norm()), room, 1e-12)


every_module = pytest.mark.parametrize("name", MODULES)


def firm(module: nn.Module) -> None:
    """Keep what is normalised so near to 3 that no rounding decides about a ReLU or a ReLU6."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d) and part.affine:
            nn.init.constant_(part.weight, 0.3)
            nn.init.constant_(part.bias, 3.0)


@every_module
@pytest.mark.parametrize("first", ["winograd", "direct", "torch"])
@pytest.mark.parametrize("decided", [False, True])
def test_in_training_it_gives_the_modules_outputs_gradients_and_statistics(
    name: str, first: str, favour: Write, *, decided: bool
) -> None:
    favour(first, *(other for other in KERNELS if other != first))
    module, x = made(name)
    if decided:
        firm(module)
    names = [type(part) for part in module.modules()]
    fast = for_training(module)
    assert fast is not module
    found, plain = step(fast, x), step(module, x)
    exact = step(copy.deepcopy(module).double(), x.double())
    assert found.keys() == plain.keys() == exact.keys()
    largest = max(float(part.double().norm()) for key, part in exact.items() if key[0] == "d")
    for key, expected in exact.items():
        gradient = key.startswith("d")
        room = 1e-3 * largest if gradient else 0.0
        theirs = error(plain[key], expected, room)
        # Minimal filtering has a digit less than a convolution as defined, layer by layer. Where
        # rounding decides about a ReLU a gradient may be all of a pixel off.
        ours = error(found[key], expected, room)
        assert ours <= 20 * theirs + (1e-4 if decided or not gradient else 0.1), key
        assert found[key].dtype is plain[key].dtype
        assert found[key].shape == plain[key].shape
    assert [type(part) for part in fast.modules()] == names
    assert [type(part) for part in module.modules()] == names


@every_module
def test_in_evaluation_it_is_the_modules_own_to_the_bit(name: str, favour: Write) -> None:
    favour(*KERNELS)
    module, x = made(name)
    fast = for_training(module)
    fast(x)
    fast.eval()
    module.eval()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    found = fast(x)
    with torch.no_grad():
        again = fast(x)
    assert torch.equal(found, module(x))
    assert torch.equal(again, module(x))
    assert all(torch.equal(before[key], now) for key, now in module.state_dict().items())


@every_module
def test_it_has_the_modules_very_tensors_by_the_same_names(name: str, favour: Write) -> None:
    favour(*KERNELS)
    module, x = made(name)
    fast = for_training(module)
    fast(x)
    assert [key for key, _ in fast.named_modules()] == [key for key, _ in module.named_modules()]
    ours, theirs = fast.state_dict(keep_vars=True), module.state_dict(keep_vars=True)
    assert list(ours) == list(theirs)
    assert all(ours[key] is theirs[key] for key in theirs)
    for own, other in (
        (fast.named_parameters(), module.named_parameters()),
        (fast.named_buffers(), module.named_buffers()),
    ):
        assert [(key, id(part)) for key, part in own] == [(key, id(part)) for key, part in other]


@every_module
def test_a_step_of_the_twin_trains_the_module(name: str, favour: Write) -> None:
    favour(*KERNELS)
    module, x = made(name)
    other = copy.deepcopy(module)
    fast = for_training(module)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    for trained, parameters in ((fast, module.parameters()), (other, other.parameters())):
        optimizer = torch.optim.SGD([p for p in parameters if p.requires_grad], lr=1e-3)
        loss = outputs(trained(x)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    now = module.state_dict()
    assert any(not torch.equal(before[key], now[key]) for key in now)
    for key, expected in other.state_dict().items():
        torch.testing.assert_close(now[key], expected, atol=1e-3, rtol=1e-3)


@every_module
def test_the_module_itself_stays_what_it_is(name: str, favour: Write) -> None:
    favour(*KERNELS)
    module, x = made(name)
    kept = [(part, type(part), dict(vars(part))) for part in module.modules()]
    hooks = [len(part._forward_hooks) for part in module.modules()]
    fast = for_training(module)
    fast(x)
    for part, kind, known in kept:
        assert type(part) is kind
        assert vars(part).keys() == known.keys()
        assert all(vars(part)[key] is value for key, value in known.items())
        assert part.training == known["training"]
        assert "forward" not in vars(part)
    assert [len(part._forward_hooks) for part in module.modules()] == hooks
    y = module.train()(x)
    seen, queue = set(), [y.grad_fn]
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue += [following for following, _ in node.next_functions]
    ours = {"ConvolutionFunctionBackward", "NormActFunctionBackward", "MixingFunctionBackward"}
    ours |= {"JoinFunctionBackward", "PartFunctionBackward", "_HalvedBackward"}
    assert not ours & {type(node).__name__ for node in seen}


# ---- when there is nothing to gain ----


def test_with_more_threads_the_module_itself_is_returned() -> None:
    module = searched("mixed")
    torch.set_num_threads(2)
    assert for_training(module) is module


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 4),
        nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU()),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU()),
        nn.Sequential(nn.Conv3d(3, 8, 3, bias=False), nn.BatchNorm3d(8), nn.ReLU()),
        nn.LSTM(3, 4),
        nn.ReLU(),
        nn.Sequential(),
        Controlled(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_module_without_layers_that_it_knows_is_returned_itself(module: nn.Module) -> None:
    assert for_training(module) is module


def test_a_module_on_another_device_is_returned_itself() -> None:
    module = searched("regular").to("meta")
    assert for_training(module) is module
    partly = searched("regular")
    partly.get_submodule("classifier").to("meta")
    assert for_training(partly) is partly


def test_a_scripted_part_stays_what_it_is() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, that scripts are old
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.ReLU()))
    module = layers(scripted)
    fast, x = for_training(module), rows(2, 3, 6, 6)
    assert fast is not module
    assert fast.get_submodule("3") is scripted
    torch.testing.assert_close(fast(x), module(x), atol=1e-5, rtol=1e-5)


def test_a_second_name_has_no_other() -> None:
    fast = for_training(layers())
    assert for_training(fast) is fast


class Hooked(nn.Module):
    """Uses what a hook of its own keeps on it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = layers()
        self.saved = torch.zeros(())
        self.body.register_forward_hook(self._save)
        self.body.register_forward_hook(lambda *_: setattr(self, "seen", True))

    def _save(self, _module: nn.Module, _x: object, y: Tensor) -> None:
        self.saved = y

    def forward(self, x: Tensor) -> Tensor:
        self.body(x)
        return self.saved * 2


def test_what_a_hook_keeps_on_the_module_is_there() -> None:
    module = Hooked()
    fast = for_training(module)
    for _ in range(2):
        x = rows(2, 3, 6, 6)
        torch.testing.assert_close(fast(x), module(x), atol=1e-5, rtol=1e-5)
    assert module.seen


def test_a_module_that_freezes_its_parts_in_train_stays_frozen() -> None:
    module = layers()

    def frozen(self: nn.Module, mode: bool = True) -> nn.Module:
        nn.Module.train(self, mode)
        self.get_submodule("1").eval()
        return self

    module.train = types.MethodType(frozen, module)  # type: ignore[method-assign]
    fast = for_training(module)
    before = {name: tensor.clone() for name, tensor in module[1].state_dict().items()}
    fast.train()
    fast(rows(2, 3, 6, 6))
    assert all(torch.equal(module[1].state_dict()[name], kept) for name, kept in before.items())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_forward_that_is_replaced_on_a_part_is_the_one_that_runs(number: int) -> None:
    module = layers()
    own = module[number].forward
    module[number].forward = lambda x: own(x) * 2
    x = rows(2, 3, 6, 6)
    torch.testing.assert_close(for_training(module)(x), module(x), atol=1e-5, rtol=1e-5)
    later = layers()
    fast, own = for_training(later), later[0].forward
    later[0].forward = lambda x: own(x) * 2
    torch.testing.assert_close(fast(x), later(x), atol=1e-5, rtol=1e-5)


def test_a_block_may_add_a_number() -> None:
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)

        def forward(self, x: Tensor, k: float = 0.5) -> Tensor:
            return F.relu(self.norm(self.conv(x)) + k)

    module, x = Added(), rows(2, 3, 6, 6)
    torch.testing.assert_close(for_training(module)(x), module(x), atol=1e-5, rtol=1e-5)


# ---- modes, hooks, chance ----


def test_its_mode_is_the_modules() -> None:
    module = searched("mixed")
    fast = for_training(module)
    fast.eval()
    assert not any(part.training for part in (module, fast, *module.modules()))
    module.train()
    assert all(part.training for part in (module, fast, *fast.modules()))


def test_a_module_set_to_call_another_forward_has_the_twins_mode() -> None:
    """As libraries do that wrap a forward by assigning to it."""
    module = layers()
    inner = nn.Sequential(nn.BatchNorm2d(8))
    inner.forward = inner.forward  # type: ignore[method-assign]
    module.append(inner)
    fast, x = for_training(module), rows(2, 3, 6, 6)
    fast.eval()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    fast(x)
    assert all(torch.equal(before[key], now) for key, now in module.state_dict().items())


def first(found: object) -> Tensor:
    """Of an octave convolution's pair of maps."""
    return outputs(found[0] if isinstance(found, tuple) else found).detach()


def test_hooks_see_what_they_would(favour: Write) -> None:
    favour(*KERNELS)
    # Of two images, BN on a map of one pixel makes much of every rounding.
    module, x = searched("mixed").to(memory_format=NHWC), rows(8, 3, 32, 32)
    seen = dict[str, Tensor]()
    for name, part in module.named_modules():
        part.register_forward_hook(lambda _m, _i, y, name=name: seen.update({name: first(y)}))
    module(x)
    expected = dict(seen)
    seen.clear()
    for_training(module)(x)
    assert list(seen) == list(expected)
    for name, y in expected.items():
        torch.testing.assert_close(seen[name], y, atol=1e-3, rtol=1e-3)


def test_hooks_are_given_the_modules_and_may_change_what_comes_out() -> None:
    module, given = layers(), list[nn.Module]()

    def doubling(part: nn.Module, _x: object, y: Tensor) -> Tensor:
        given.append(part)
        return y * 2

    module[1].register_forward_hook(doubling)
    module.register_forward_hook(doubling)
    fast, x = for_training(module), rows(2, 3, 6, 6)
    torch.testing.assert_close(fast(x), module(x), atol=1e-5, rtol=1e-5)
    assert given[:2] == [module[1], module]


@compiled
@pytest.mark.parametrize("name", ["space mixed@2", "space octave", "igcv2-w48-d20", "shared"])
def test_a_hook_that_gives_saved_tensors_back_otherwise_in_memory_leaves_gradients_right(
    name: str, favour: Write
) -> None:
    favour(*KERNELS)
    module, x = made(name)
    fast = for_training(module)
    expected = step(fast, x)
    with saved_tensors_hooks(lambda saved: saved.detach(), unlike):
        found = step(fast, x)
    for key, tensor in expected.items():
        room = 1e-4 * max(float(tensor.abs().max()), 1e-2)
        torch.testing.assert_close(found[key], tensor, atol=room, rtol=1e-4)


class Dropping(nn.Module):
    """Dropout as a function, random depth and noise, in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.last = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        if self.training and random.random() < 0.5:
            return x
        y = F.dropout(self.last(self.conv(x)), 0.5, training=self.training)
        return F.relu(y + x + (torch.randn(()) if self.training else 0))


class Chance(nn.Module):
    """Draws in a part, which has normalisations, and in itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Dropping()
        self.rest = nn.Sequential(
            nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rest(self.inner(x))
        return y * random.random() if self.training else y


def test_what_is_drawn_is_drawn_in_every_step(favour: Write) -> None:
    favour(*KERNELS)
    module, x, found = Chance(), rows(4, 3, 8, 8), []
    for each in (module, for_training(module)):
        torch.manual_seed(2)
        random.seed(2)
        found.append([each(x).detach() for _ in range(6)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert not torch.equal(found[1][0], found[1][1])
    fast = for_training(module).eval()
    assert torch.equal(fast(x), module.eval()(x))
    assert torch.equal(fast(x), fast(x))


# ---- copies, types, checkpoints ----


def test_a_copy_of_the_twin_is_a_network_of_its_own(favour: Write) -> None:
    favour(*KERNELS)
    module, x = searched("mixed"), rows(2, 3, 16, 16)
    fast = for_training(module)
    copied = copy.deepcopy(fast)
    torch.testing.assert_close(copied(x), module(x), atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert not copied(x).any()
    assert fast(x).any()


def test_weights_that_are_loaded_into_either_are_the_others() -> None:
    module, other = searched("mixed@2"), build(drawn("mixed@2"), 3, 10, seed=1)
    fast, x = for_training(module), rows(2, 3, 16, 16)
    module.load_state_dict(other.state_dict())
    torch.testing.assert_close(fast(x), other(x), atol=1e-4, rtol=1e-4)
    again = build(drawn("mixed@2"), 3, 10, seed=2)
    fast.load_state_dict(again.state_dict())
    torch.testing.assert_close(module(x), again(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_module_of_another_type_computes_as_it_is(dtype: torch.dtype) -> None:
    for late in (False, True):
        module, x = searched("regular"), rows(2, 3, 16, 16).to(dtype)
        if not late:
            module.to(dtype)
        fast = for_training(module)
        module.to(dtype)
        assert torch.equal(fast(x), module(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("space", ["mixed", "octave", "igc", "xception"])
def test_in_mixed_precision_it_gives_what_the_module_gives(
    space: str, dtype: torch.dtype, favour: Write
) -> None:
    favour(*KERNELS, "fp32")
    module, x = searched(space).to(memory_format=NHWC), rows(16, 3, 16, 16)
    with torch.autocast("cpu", dtype):
        found, expected = for_training(module)(x).detach(), module(x).detach()
    assert found.dtype is expected.dtype
    assert float((found - expected).norm() / expected.norm()) < 0.1


def test_a_checkpointed_part_gives_the_same_gradients(favour: Write) -> None:
    favour(*KERNELS)

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = layers(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = torch.utils.checkpoint.checkpoint(self.part, x, use_reentrant=False)
            return y

    module, x = Checkpointed(), rows(4, 3, 8, 8)
    fast = for_training(module)
    with training(fast):
        found = step(fast, x)
    expected = step(module, x)
    for key, tensor in expected.items():
        room = 1e-4 * max(float(tensor.abs().max()), 1e-2)
        torch.testing.assert_close(found[key], tensor, atol=room, rtol=1e-4)


# ---- training ----


def losses(module: nn.Module, trained: nn.Module, steps: int = 3, *, amp: bool) -> list[float]:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    x, labels = rows(32, 3, 8, 8, seed=0), torch.arange(32) % 10
    found = []
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            logits = trained(x)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(loss.item())
    return found


SPARED = """
import sys, torch
from torch import nn
from trainers.fast import for_training, training
torch.set_num_threads(int(sys.argv[1]))
conv = nn.Conv2d(4, 16, 1, 2, bias=False).to(memory_format=torch.channels_last)
module = nn.Sequential(conv, nn.BatchNorm2d(16)).train()
fast = for_training(module)
for _ in range(150):
    x = torch.randn(32, 4, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    with training(fast):
        y = fast(x)
    y.sum().backward()
    kept = [torch.randn(count) for count in (5, 33, 129, 1025, 4097)]
"""
"""Kills a process with AVX2 if torch computes the gradients: they end in memory of others."""


@pytest.mark.parametrize("kernels", ["0", "1"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_strides_over_few_channels_are_not_left_to_torch(threads: str, kernels: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPARED, threads],
        env={**os.environ, "CONVNAS_KERNELS": kernels},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shape = Shape(32, 4, 16, 1, 16, 16, 1, 2, half=False)
    assert fastest(shape).name != "torch"


@compiled
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_network_trains_alike_with_and_without_a_twin(
    seed: int, amp: bool, favour: Write
) -> None:
    favour(*KERNELS)
    # Of the first version: in `mixed` 1×1 convolutions stride over 4 channels, which torch alone,
    # the other side here, does not survive.
    modules = [searched("mixed@1", seed).to(memory_format=NHWC).train() for _ in range(2)]
    fused = losses(modules[0], for_training(modules[0]), amp=amp)
    plain = losses(modules[1], modules[1], amp=amp)
    assert fused != plain
    assert fused == pytest.approx(plain, rel=5e-2 if amp else 1e-3)
    assert fused[-1] < fused[0]


def resnet() -> nn.Module:
    stages = [{"width": w, "blocks": [["regular", "regular"]]} for w in (8, 16)]
    data: Mapping[str, Any] = {
        "format": 1,
        "skeleton": "residual",
        "stem": "regular",
        "stages": stages,
    }
    return build(read_architecture(data), 3, 10).to(memory_format=NHWC)


@compiled
@pytest.mark.parametrize("amp", [False, True])
def test_every_normalisation_of_a_network_in_training_takes_the_kernels(*, amp: bool) -> None:
    fast = for_training(resnet())
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        y = fast(rows(4, 3, 8, 8))
    seen, queue = set(), [y.grad_fn]
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue += [following for following, _ in node.next_functions]
    names = [type(node).__name__ for node in seen]
    assert names.count("NormActFunctionBackward") == 1 + 4 + 1
    assert not any("BatchNorm" in name or "Relu" in name for name in names)


@compiled
def test_a_twin_of_one_layer_is_that_layer_alone(favour: Write) -> None:
    favour("winograd")
    conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    fast = for_training(conv)
    assert isinstance(fast, nn.Conv2d)
    assert fast.weight is conv.weight
    assert way(fast(rows(2, 8, 6, 6))) == "ConvolutionFunctionBackward"
    assert way(conv(rows(2, 8, 6, 6))) == "ConvolutionBackward0"
