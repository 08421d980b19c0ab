"""What the networks compute, against plain formulations of the same papers and against torchvision.

Parameters and MACs cannot show a missing shuffle, a wrong permutation or a misplaced ReLU.
"""

import re
from collections.abc import Callable, Iterator

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nas_space.papers import get
from nas_space.papers.octave._pairs import SqueezeExcite


def prepared(name: str) -> nn.Module:
    """The network in double precision, its BN layers doing something."""
    torch.manual_seed(0)
    module = get(name).build(seed=1).double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None:
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    return module


class Layers:
    """The convolutions, BN layers and classifier of a module, to be called in turn."""

    def __init__(self, module: nn.Module) -> None:
        self._left: Iterator[nn.Module] = (
            part
            for part in module.modules()
            if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
        )

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = next(self._left)(x)
        return y


def interleave(x: Tensor, groups: int) -> Tensor:
    """Channel g·n + i of groups g goes to i·groups + g: the authors' Reorder."""
    order = torch.arange(x.shape[1]).view(groups, -1).t().flatten()
    return x[:, order]


def igc(layers: Layers, x: Tensor, partitions: int, secondary: int | None = None) -> Tensor:
    y = layers(x)
    y = layers(interleave(y, partitions))
    return layers(interleave(y, secondary or y.shape[1] // partitions))


def head(layers: Layers, x: Tensor) -> Tensor:
    return layers(x.mean(dim=(2, 3)))


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, dtype=torch.double, generator=torch.Generator().manual_seed(2))


def test_a_plain_igc_network_applies_bn_and_relu_once_a_block(images: Tensor) -> None:
    module = prepared("igc-l4m4-d8")
    layers = Layers(module)
    x = F.relu(layers(layers(images)))
    for _ in range(6):
        x = F.relu(igc(layers, x, 4))
    assert torch.allclose(head(layers, x), module(images))


@pytest.mark.parametrize("official", [False, True])
def test_an_igc_network_with_shortcuts(official: bool, images: Tensor) -> None:
    module = prepared(f"igc-l4m4{'-official' if official else ''}-d8-ident")
    layers = Layers(module)
    x = F.relu(layers(layers(images)))
    for stage in range(3):
        entering = 4 * 2 ** (stage - 1) if official and stage else None
        y = F.relu(igc(layers, x, 4, entering))
        y = igc(layers, y, 4)
        # A grouped 1×1 projection and BN, without ReLU, where the width changes
        x = F.relu(y + (layers(layers(x)) if stage else x))
    assert torch.allclose(head(layers, x), module(images))


def test_igcv3_shuffles_after_an_expansion_without_activation(images: Tensor) -> None:
    module = prepared("igcv3-d-0.25")
    layers = Layers(module)
    x = F.relu6(layers(layers(images)))
    for blocks in (1, 4, 6, 8, 6, 6, 1):
        for block in range(blocks):
            y = interleave(layers(layers(x)), 2)
            y = F.relu6(layers(layers(y)))
            y = layers(layers(y))
            x = x + y if block else y
    x = F.relu6(layers(layers(x)))
    assert torch.allclose(head(layers, x), module(images))


def test_merge_and_run_averages_the_shortcuts_and_adds_both_branches_at_the_end(
    images: Tensor,
) -> None:
    module = prepared("dfn-mr-d14w1")
    layers = Layers(module)
    x = F.relu(layers(layers(images)))
    a = b = x
    for stage in range(3):
        deep = []
        for branch in (a, b):
            y = F.relu(layers(layers(branch)))
            deep.append(layers(layers(y)))
        lines = [layers(layers(line)) if stage else line for line in (a, b)]
        mean = (lines[0] + lines[1]) / 2
        a, b = (F.relu(mean + f) for f in deep)
    assert torch.allclose(head(layers, F.relu(mean + deep[0] + deep[1])), module(images))


def test_squeeze_and_excitation_squeezes_both_frequencies_at_once() -> None:
    torch.manual_seed(0)
    module = SqueezeExcite((24, 8)).double()
    high = torch.randn(2, 24, 8, 8, dtype=torch.double)
    low = torch.randn(2, 8, 4, 4, dtype=torch.double)
    squeezed = torch.cat([high.mean(dim=(2, 3)), low.mean(dim=(2, 3))], dim=1)
    squeezed = F.relu(module.fc1(squeezed))
    assert squeezed.shape == (2, 2)
    assert module.fc2.l is not None
    gates = torch.sigmoid(module.fc2.h(squeezed)), torch.sigmoid(module.fc2.l(squeezed))
    for got, x, gate in zip(module((high, low)), (high, low), gates, strict=True):
        assert got is not None
        assert torch.allclose(got, x * gate[:, :, None, None])


def as_in_torchvision(name: str) -> str:
    """The name of a tensor of ours in torchvision's ResNets and DenseNets."""
    name = re.sub(r"^body\.L(\d)_B(\d+)", lambda m: f"layer{m[1]}.{m[2]}", name)
    name = name.replace("conv4", "downsample.0").replace("bn4", "downsample.1")
    name = name.replace("stem.conv", "conv1").replace("stem.bn", "bn1")
    return re.sub(r"\.(h2h|h)\.", ".", name)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet-50-v1b", torchvision.models.resnet50),
        ("resnext-50-v1b", torchvision.models.resnext50_32x4d),
    ],
)
def test_vanilla_networks_compute_what_torchvisions_do(
    name: str, make: Callable[[], nn.Module]
) -> None:
    theirs = make().eval()
    ours = get(name).build().eval()
    state = theirs.state_dict()
    ours.load_state_dict({k: state[as_in_torchvision(k)] for k in ours.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet-18-w64", torchvision.models.resnet18),
        ("densenet-121", torchvision.models.densenet121),
    ],
)
def test_vanilla_networks_equal_torchvisions_but_for_the_constant_of_bn(
    name: str, make: Callable[[], nn.Module]
) -> None:
    theirs, ours = make().eval(), get(name).build().eval()
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)

    def shape_of(part: nn.Module) -> str:
        kind = next(kind for kind in kinds if isinstance(part, kind))
        return f"{kind.__name__}({part.extra_repr().split('eps')[0]})"

    def by_shape(module: nn.Module) -> dict[str, list[nn.Module]]:
        """Layers of each kind and shape in the order of the forward pass."""
        met: dict[str, list[nn.Module]] = {}
        hooks = [
            part.register_forward_hook(
                lambda part, _x, _y: met.setdefault(shape_of(part), []).append(part)
            )
            for part in module.modules()
            if isinstance(part, kinds)
        ]
        module(torch.zeros(1, 3, 64, 64))
        for hook in hooks:
            hook.remove()
        return met

    with torch.no_grad():
        mine = by_shape(ours)
        for shape, layers in by_shape(theirs).items():
            for source, target in zip(layers, mine.pop(shape), strict=True):
                target.load_state_dict(source.state_dict())
                if isinstance(source, nn.BatchNorm2d) and isinstance(target, nn.BatchNorm2d):
                    source.eps = target.eps
        assert not mine
        x = torch.randn(1, 3, 64, 64)
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("igc-l4m8-d8", {(2e-5, 0.01)}),
        ("igc-l4m8-d8-ident", {(2e-5, 0.1)}),
        ("igc-l4m32-imagenet", {(2e-5, 0.1)}),
        ("oct-resnet-26-v2-a0.5", {(1e-4, 0.08)}),
        ("oct-resnet-50-v1b-a0.5", {(1e-5, 0.1)}),
        ("oct-densenet-121-a0.5", {(1e-4, 0.08)}),
        ("oct-densenet-121-gluon-a0.25", {(1e-5, 0.1)}),
    ],
)
def test_the_constants_of_bn_are_the_authors(
    name: str, constants: set[tuple[float, float]]
) -> None:
    norms = [m for m in get(name).build().modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == constants
