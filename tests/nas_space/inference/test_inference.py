"""A network for inference gives what the trained one gives, with less to do."""

import copy
import random

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812

from nas_space.convert import convert
from nas_space.convs import TYPES, parse
from nas_space.inference import for_inference
from nas_space.papers import get
from nas_space.spaces.building import build
from nas_space.spaces.registry import get as space
from nas_space.spaces.registry import spaces
from nas_space.spaces.residual import ResidualArchitecture
from tests.nas_space.conversion.models import Controlled, Small

NAMED = [
    "igc-l4m8-d20-ident",
    "igc-l24m2-d20",
    "igcv2-w48-d20",
    "oct-resnet-26-v1b-a0.5",
    "oct-resnet-26-v2-a0.25",
    "oct-mobilenet-v1-1-a0.5",
]


def used(module: nn.Module) -> nn.Module:
    """With statistics and parameters that a training may have left; in eval mode."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.5, 1.5)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, std=0.2)
    return module.eval()


def normed(width: int, *, relu: bool = True) -> list[nn.Module]:
    """What stands behind a convolution."""
    return [nn.BatchNorm2d(width), nn.ReLU()] if relu else [nn.BatchNorm2d(width)]


@torch.no_grad()
def same(module: nn.Module, images: Tensor) -> fx.GraphModule:
    """The module for inference, once seen to give the same outputs."""
    fast = for_inference(module)
    assert isinstance(fast, fx.GraphModule)
    expected, found = module(images), fast(images)
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= 1e-5 * scale
    return fast


def count(module: fx.GraphModule, *types: type[nn.Module]) -> int:
    return sum(isinstance(part, types) for part in module.modules())


def calls(module: fx.GraphModule, name: str) -> int:
    return sum(getattr(node.target, "__name__", "") == name for node in module.graph.nodes)


def architectures() -> list[ResidualArchitecture]:
    chance = random.Random(0)
    return [
        space(name).decode({p.name: chance.choice(p.labels) for p in space(name).parameters})
        for name in spaces()
    ]


@pytest.mark.parametrize("architecture", architectures(), ids=str)
def test_a_searched_network_gives_the_same_without_a_normalisation(
    architecture: ResidualArchitecture,
) -> None:
    fast = same(used(build(architecture, 3, 10)), torch.randn(2, 3, 32, 32))
    assert count(fast, nn.BatchNorm2d) == 0


@pytest.mark.parametrize("name", NAMED)
def test_so_does_a_network_of_a_paper(name: str) -> None:
    side = 32 if get(name).shape[1] == 32 else 64
    fast = same(used(get(name).build()), torch.randn(2, 3, side, side))
    # Before the first convolution of a pre-activated block comes an addition, and stays.
    assert (count(fast, nn.BatchNorm2d) == 0) == ("-v2-a" not in name)


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "densenet121", "mobilenet_v2"])
@pytest.mark.parametrize("choice", ["octave", "igc", "xception"])
def test_so_does_a_converted_network(name: str, choice: str) -> None:
    model = convert(torchvision.models.get_model(name, weights=None), choice).model
    same(used(model), torch.randn(2, 3, 64, 64))


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(TYPES)),
    widths=st.sampled_from([(16, 16), (16, 32), (32, 16)]),
    stride=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    relu=st.booleans(),
)
def test_every_setting_of_every_type_takes_the_normalisation_behind_it(
    kind: str, widths: tuple[int, int], stride: int, size: tuple[int, int], *, relu: bool
) -> None:
    for choice in TYPES.get(kind).settings(*widths):
        conv = choice.build(*widths, stride)
        module = used(nn.Sequential(conv, *normed(widths[1], relu=relu)))
        assert count(same(module, torch.randn(2, widths[0], *size)), nn.BatchNorm2d) == 0


def test_a_chain_of_pointwise_convolutions_becomes_one() -> None:
    conv = parse("igcv2(K1=2,K2=4,K3=2,K4=2)")
    module = used(nn.Sequential(conv.build(32, 32), *normed(32)))
    fast = same(module, torch.randn(2, 32, 5, 5))
    assert count(fast, nn.Conv2d) == 2
    assert count(fast, nn.ChannelShuffle) == 0


def test_a_wide_chain_stays_as_it_is() -> None:
    module = used(nn.Sequential(parse("igc(L=64,M=4)").build(256, 256), *normed(256)))
    fast = same(module, torch.randn(2, 256, 3, 3))
    assert count(fast, nn.Conv2d) == 2


def test_neighbouring_octave_convolutions_keep_their_pair() -> None:
    octave = parse("octave(alpha=0.25)")
    layers = [nn.Sequential(octave.build(16, 16, stride), *normed(16)) for stride in (1, 1, 2, 1)]
    fast = same(used(nn.Sequential(*layers)), torch.randn(2, 16, 9, 7))
    assert calls(fast, "first_channels") == 1
    assert calls(fast, "joined") == 1


def test_octave_convolutions_of_other_shares_meet_in_one_tensor() -> None:
    labels = ["octave(alpha=0.25)", "octave(alpha=0.5)"]
    layers = [nn.Sequential(parse(label).build(16, 16), *normed(16)) for label in labels]
    fast = same(used(nn.Sequential(*layers)), torch.randn(2, 16, 8, 8))
    assert calls(fast, "joined") == 2


@pytest.mark.parametrize("alpha", [0, 1])
def test_one_frequency_alone_is_no_pair(alpha: int) -> None:
    layers = [parse(f"octave(alpha={alpha})").build(8, 8), *normed(8)]
    assert count(same(used(nn.Sequential(*layers)), torch.randn(2, 8, 6, 6)), nn.BatchNorm2d) == 0


class Twice(nn.Module):
    """What its convolution gives is used beside the normalisation too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return F.relu(self.norm(y)) + y


class Again(nn.Module):
    """One convolution runs in two places, with a normalisation behind the second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(F.relu(self.conv(x))))
        return y


@pytest.mark.parametrize("module", [Twice(), Again()], ids=["twice", "again"])
def test_a_convolution_with_other_work_keeps_its_weights(module: nn.Module) -> None:
    assert count(same(used(module), torch.randn(2, 4, 5, 5)), nn.BatchNorm2d) == 1


class Sums(nn.Module):
    """Additions of numbers, with a factor, and in place of what is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(torch.add(self.conv(x), self.other(x), alpha=2)) + 3.0
        z = self.conv(y)
        cut = self.relu(z)
        total: Tensor = (cut + self.other(y)) * z
        return total


def test_sums_that_are_more_than_sums_stay_what_they_are() -> None:
    same(used(Sums()), torch.randn(2, 4, 5, 5))


def test_a_module_of_a_user_gives_the_same() -> None:
    same(used(Small()), torch.randn(2, 3, 12, 12))


@torch.no_grad()
def test_a_module_whose_way_depends_on_what_it_sees_is_copied() -> None:
    module, images = Controlled().eval(), torch.randn(2, 3, 6, 6)
    copied = for_inference(module)
    assert copied is not module
    assert torch.equal(copied(images)["map"], module(images)["map"])


def test_the_network_itself_stays_as_it_was() -> None:
    network = build(architectures()[0], 3, 10)
    before = copy.deepcopy(network.state_dict())
    for_inference(network)
    assert network.training
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())


def test_it_can_be_exported() -> None:
    fast = for_inference(used(build(architectures()[0], 3, 10)))
    assert fast(torch.randn(2, 3, 16, 16)).shape == (2, 10)
    images = torch.randn(2, 3, 16, 16)
    program = torch.export.export(fast, (images,))
    assert torch.allclose(program.module()(images), fast(images), atol=1e-6)
