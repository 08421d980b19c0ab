"""Blocks whose normalisations are computed with what follows them: what is followed, what is not.

A forward is followed once, when the twin is made. So all that it does otherwise in another call
must keep it from being followed: these tests call a twin twice.
"""

import functools
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tests.trainers.fast.conftest import Write
from tests.trainers.fast.exact import close, outputs_and_gradients, rows, way
from trainers.fast import for_training, training
from trainers.fast.blocks import Block, with_fused_norms
from trainers.fast.kernels.norm import KERNELS

compiled = pytest.mark.skipif(not KERNELS.exist(), reason="no C compiler")

BY_KERNEL = "NormActFunctionBackward"


@pytest.fixture(autouse=True)
def _seeded(favour: Write) -> None:
    favour()
    torch.manual_seed(0)
    random.seed(0)


class Parts(nn.Module):
    """What blocks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.other = nn.Conv2d(8, 8, 1, bias=False)
        self.last = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.down: nn.Module | None = None
        self.count = 2


def maps() -> Tensor:
    return rows(4, 8, 6, 6, seed=3)


def same(module: nn.Module, *others: object) -> nn.Module:
    """A twin, once seen to give the outputs, gradients and statistics of the module."""
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fast, found = for_training(module), []
    for each in (fast, module):
        module.load_state_dict(state)

        def run(x: Tensor, each: nn.Module = each) -> Tensor:
            y: Tensor = each(x, *others)
            return y

        made = outputs_and_gradients(run, maps(), *module.parameters())
        made += [tensor.clone() for tensor in module.state_dict().values()]
        found.append(made)
    assert close([part.double() for part in found[0]], [part.double() for part in found[1]], 1e-5)
    module.load_state_dict(state)
    return fast


# ---- what is followed ----


class Function(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Module(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.norm(self.conv(x)))
        return y


class Method(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu()
        return y


class InPlaceMethod(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).relu_()
        return y


class Sum(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)) + x)


class SumOfTheOther(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


class SumOfTwo(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)) + self.last(self.other(x)))


class SumInPlace(Parts):
    """As torchvision's residual blocks have it."""

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.norm(self.conv(x)))
        out = self.last(self.other(out))
        if self.down is not None:
            identity = self.down(x)
        out += identity
        y: Tensor = self.relu(out)
        return y


class AddMethod(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).add(x).relu()
        return y


class AddFunction(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.add(x, self.norm(self.conv(x))))


class Constant(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.norm(self.conv(x))) * self.count
        return y


FOLLOWED = [
    Function,
    Module,
    Method,
    InPlaceMethod,
    Sum,
    SumOfTheOther,
    SumOfTwo,
    SumInPlace,
    AddMethod,
    AddFunction,
]


@compiled
@pytest.mark.parametrize("kind", FOLLOWED, ids=lambda kind: str(kind.__name__))
def test_a_normalisation_before_a_relu_is_computed_with_it(kind: type[Parts]) -> None:
    fast = same(kind())
    with training(fast):
        assert isinstance(vars(fast)["forward"], Block)
    assert way(fast(maps())) == BY_KERNEL


@compiled
def test_so_it_is_in_a_sequence() -> None:
    sequence = nn.Sequential(
        nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
    )
    assert way(same(sequence)(maps())) == BY_KERNEL


@compiled
def test_a_residual_of_another_shape_is_added_as_torch_does() -> None:
    class Broadcast(Parts):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.norm(self.conv(x)) + x.mean(dim=(2, 3), keepdim=True))

    same(Broadcast())


@compiled
def test_in_evaluation_the_block_is_its_own_to_the_bit() -> None:
    module = SumInPlace()
    fast = same(module)
    fast.eval()
    assert torch.equal(fast(maps()), module.eval()(maps()))
    assert way(fast(maps())) != BY_KERNEL


@compiled
def test_a_normalisation_in_evaluation_within_a_block_in_training_keeps_its_statistics() -> None:
    module = SumInPlace()
    module.norm.eval()
    module.norm.running_mean = torch.rand(8)
    mean = module.norm.running_mean.clone()
    fast = same(module)
    fast(maps())
    assert torch.equal(mean, module.norm.running_mean)
    assert not fast.get_submodule("norm").training


# ---- what is used elsewhere too ----


class SeenTwice(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return F.relu(y) + y


class CalledTwice(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(F.relu(self.norm(self.other(x))))))


class TwoNames(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.again = self.norm

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.again(self.conv(F.relu(self.norm(self.other(x))))))


class ReluTwice(Parts):
    """A ReLU that is named as a fused normalisation might be."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_relu(self.other(self.norm_relu(self.norm(self.conv(x))).neg()))
        return y


class ReluTwiceFollowed(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.norm_relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_relu(self.other(self.norm_relu(self.norm(self.conv(x)))))
        return y


class Factor(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.add(self.norm(self.conv(x)), x, alpha=2))


class Number(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)) + 0.5)


class IntoTheResidual(Parts):
    """The map that is added to is used again, under another name."""

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv(x)
        two = one
        two += self.norm(self.other(x))
        y: Tensor = F.relu(two) + one
        return y


class IntoTheInput(Parts):
    def forward(self, x: Tensor) -> Tensor:
        x += self.norm(self.conv(x * 1))
        return F.relu(x)


class Outside(Parts):
    """Uses again what its block has written into."""

    def __init__(self) -> None:
        super().__init__()
        self.block = IntoTheInput()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z: Tensor = self.block(y) + y
        return z


class AddedMethod(Parts):
    def forward(self, x: Tensor) -> Tensor:
        one = self.conv(x)
        y: Tensor = one.add_(self.norm(self.other(x))).relu() + one
        return y


class ReluOfTheResidual(Parts):
    """A ReLU in place behind an addition in place."""

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv(x)
        y: Tensor = one.add_(self.norm(self.other(x))).relu_() + one
        return y


class WrittenOverAfterTheSum(Parts):
    """The map that was added is written over before the ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv(x)
        z = self.norm(self.other(x)) + one
        one.add_(1)
        y: Tensor = F.relu(z) + one
        return y


OTHERS = [
    WrittenOverAfterTheSum,
    SeenTwice,
    CalledTwice,
    TwoNames,
    ReluTwice,
    ReluTwiceFollowed,
    Factor,
    Number,
    IntoTheResidual,
    Outside,
    AddedMethod,
    ReluOfTheResidual,
]


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: str(kind.__name__))
def test_what_else_uses_a_map_sees_what_it_would(kind: type[Parts]) -> None:
    same(kind())


def test_hooks_see_what_they_would() -> None:
    module, seen = SumInPlace(), list[str]()
    for name in ("conv", "norm", "other", "last", "relu"):
        module.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.append(name))
    module.register_forward_pre_hook(lambda *_: seen.append("block"))
    module(maps())
    expected = list(seen)
    seen.clear()
    for_training(module)(maps())
    assert seen == expected


@pytest.mark.parametrize("watched", ["conv", "norm", "other", "last", "relu"])
@pytest.mark.parametrize(
    "hook",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_a_hook_of_any_kind_is_called_as_often_as_it_would_be(watched: str, hook: str) -> None:
    module, seen = SumOfTwo() if watched != "relu" else Method(), list[int]()
    getattr(module.get_submodule(watched), hook)(lambda *_: seen.append(1))
    counts = []
    for each in (module, for_training(module)):
        each(maps().requires_grad_()).sum().backward()
        counts.append(len(seen))
        seen.clear()
    assert counts[0] == counts[1]


# ---- what is not followed ----


class Random(Parts):
    """Skips itself by chance."""

    def forward(self, x: Tensor) -> Tensor:
        if random.random() < 0.5:
            return x
        return F.relu(self.norm(self.conv(x)))


class RandomTensor(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x + torch.randn(1))))


class RandomLike(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)) + torch.rand_like(x))


class RandomMethod(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)) * torch.ones(1).uniform_())


class Dropped(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(F.dropout(self.conv(x), 0.5, self.training)))


class DroppedChild(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.dropout(self.conv(x))))


class Noise(nn.Module):
    """Has a method by the name of a tensor's."""

    def add(self, x: Tensor) -> Tensor:
        return x + random.random()


class ChildsMethod(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.noise = Noise()

    def forward(self, x: Tensor) -> Tensor:
        return self.noise.add(F.relu(self.norm(self.conv(x))))


def chance(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(forward)
    def skipping(self: nn.Module, x: Tensor) -> Tensor:
        return x if random.random() < 0.5 else forward(self, x)

    return skipping


class Wrapped(Function):
    forward = chance(Function.forward)


class Decorated(Parts):
    @chance
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Helper(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.helped(x)))

    def helped(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) * random.random()
        return y


RANDOM = [
    Random,
    RandomTensor,
    RandomLike,
    RandomMethod,
    Dropped,
    DroppedChild,
    ChildsMethod,
    Wrapped,
    Decorated,
    Helper,
]


@pytest.mark.parametrize("kind", RANDOM, ids=lambda kind: str(kind.__name__))
def test_chance_is_never_frozen_in(kind: type[Parts]) -> None:
    module, found = kind(), []
    for each in (module, for_training(module)):
        torch.manual_seed(1)
        random.seed(1)
        found.append([each(maps()).detach() for _ in range(8)])
    plain, fast = found
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert not all(torch.equal(plain[0], one) for one in plain)


class Branch(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        return y * 2 if self.training else y


class ChildsBranch(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        return y * 2 if self.conv.training else y


@pytest.mark.parametrize("kind", [Branch, ChildsBranch])
def test_what_depends_on_training_is_never_frozen_in(kind: type[Parts]) -> None:
    module = kind()
    fast = same(module)
    for each in (module, fast):
        each.get_submodule("conv").eval()
    torch.testing.assert_close(fast(maps()), module(maps()), atol=1e-5, rtol=1e-5)
    fast.eval()
    assert torch.equal(fast(maps()), module.eval()(maps()))


FACTOR = 1.0


class Global(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x))) * FACTOR


def test_a_global_that_changes_is_read_in_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Global()
    fast = same(module)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    torch.testing.assert_close(fast(maps()), module(maps()), atol=1e-5, rtol=1e-5)


class Switch(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x))) * self.count


class Switching(nn.Module):
    """Sets what its block reads."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Switch()

    def forward(self, x: Tensor, count: int) -> Tensor:
        self.block.count = count
        y: Tensor = self.block(x)
        return y


def test_a_number_that_somebody_sets_is_read_in_every_call() -> None:
    module = Switching()
    fast = for_training(module)
    for count in (1, 2, 3):
        torch.testing.assert_close(fast(maps(), count), module(maps(), count), atol=1e-5, rtol=1e-5)


class Optional(Parts):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        if other is not None:
            y = y + other
        return y


class Required(Parts):
    def forward(self, x: Tensor, other: Tensor | None) -> Tensor:
        y = self.norm(self.conv(x))
        return F.relu(y if other is None else y + other)


@pytest.mark.parametrize("kind", [Optional, Required])
def test_what_is_given_or_not_is_asked_in_every_call(kind: type[Parts]) -> None:
    same(kind(), None)
    same(kind(), maps())
    module = kind()
    fast = for_training(module)
    for other in (None, maps(), None):
        torch.testing.assert_close(fast(maps(), other), module(maps(), other))


class Sized(Parts):
    """Its way depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        return y[:, :4] if x.shape[2] > 3 else y


class Valued(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        return y if y.mean() > 1e9 else -y


class Tried(Parts):
    def forward(self, x: Tensor) -> Tensor:
        try:
            return F.relu(self.norm(self.conv(x)))
        except RuntimeError:
            return x


class Shaped(Parts):
    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        return y.flatten(2).view(y.size(0), y.size(1), -1, 1)


@pytest.mark.parametrize("kind", [Sized, Valued, Tried, Shaped])
def test_python_decides_in_every_call(kind: type[Parts]) -> None:
    module = same(kind())
    for x in (maps(), rows(3, 8, 3, 3), rows(1, 8, 2, 5)):
        torch.testing.assert_close(module(x), kind.forward(module, x), atol=1e-5, rtol=1e-5)


def test_an_error_is_caught_where_it_would_be() -> None:
    x = rows(2, 4, 6, 6)
    assert for_training(Tried())(x) is x


class OnlyPositional(Parts):
    def forward(self, x: Tensor, /) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Rest(Parts):
    def forward(self, *rest: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(rest[0])))


class Everything(Parts):
    def forward(*rest: nn.Module | Tensor) -> Tensor:
        self, x = rest
        assert isinstance(self, Everything)
        return F.relu(self.norm(self.conv(x)))


class KeywordOnly(Parts):
    def forward(self, x: Tensor, *, factor: int = 2) -> Tensor:
        return F.relu(self.norm(self.conv(x))) * factor


class ChildsWeight(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x))) * self.conv.weight.mean()


class OwnWeight(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))
        self.shift: Tensor
        self.register_buffer("shift", torch.ones(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm(self.conv(x))) * self.scale + self.shift
        return y


class Floats(Parts):
    """As torchvision's networks for quantisation add."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.sums.add(self.norm(self.conv(x)), x))


class Nested(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.ModuleList([nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)])

    def forward(self, x: Tensor) -> Tensor:
        for part in self.inside:
            x = F.relu(part(x))
        return F.relu(self.norm(self.inside[1](self.conv(x)).relu()))


class Derived(Function):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


class Inherited(Function):
    """Has its forward from another class."""


ODD = [
    OnlyPositional,
    Rest,
    Everything,
    KeywordOnly,
    ChildsWeight,
    OwnWeight,
    Floats,
    Nested,
    Derived,
    Inherited,
]


@pytest.mark.parametrize("kind", ODD, ids=lambda kind: str(kind.__name__))
def test_any_other_forward_has_a_twin_that_computes_the_same(kind: type[Parts]) -> None:
    same(kind())


def test_a_forward_whose_text_is_not_there_is_not_followed() -> None:
    scope: dict[str, object] = {"F": F, "Parts": Parts}
    text = "class Made(Parts):\n    def forward(self, x):\n        return F.relu(self.norm(x))\n"
    exec(text, scope)  # noqa: S102 - what a notebook's cell may be
    made = scope["Made"]
    assert isinstance(made, type)
    assert with_fused_norms(made()) is None
    same(made())


def test_a_forward_that_was_set_on_the_module_itself_stays() -> None:
    module = Function()
    module.forward = lambda x: x * 2  # type: ignore[method-assign]
    assert with_fused_norms(module) is None
    assert torch.equal(for_training(module)(maps()), maps() * 2)


def test_arguments_by_name_are_taken() -> None:
    module = KeywordOnly()
    torch.testing.assert_close(
        for_training(module)(x=maps(), factor=3), module(maps(), factor=3), atol=1e-5, rtol=1e-5
    )


def test_a_pair_of_outputs_is_given_as_one() -> None:
    class Pair(Parts):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = F.relu(self.norm(self.conv(x)))
            return y, self.other(y)

    module = Pair()
    for found, expected in zip(for_training(module)(maps()), module(maps()), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
