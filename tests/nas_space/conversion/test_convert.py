"""Convolutions of any module are replaced, and nothing else of it."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from nas_space.convert import Conversion, ConversionError, convert, survey
from nas_space.convs import TYPES, Conv, InvalidChoiceError, parse
from nas_space.costs.counting import count
from nas_space.papers import get
from tests.nas_space.conversion.models import Controlled, Nothing, Row, Small, obstacles

SHAPE = (3, 16, 16)
every_kind = pytest.mark.parametrize("kind", TYPES)


def reasons(found: Conversion) -> dict[str, str | None]:
    return {layer.site.name: layer.reason for layer in found.layers}


def test_what_can_be_replaced_is_and_the_rest_says_why_not() -> None:
    found = convert(Small(), "octave(alpha=0.5)", shape=SHAPE)
    assert [layer.site.name for layer in found.replaced] == ["wide", "grouped", "shared"]
    why = reasons(found)
    assert why["stem"] == "it reads the image, whose channels are no features"
    assert why["depthwise"] == "octave(alpha=0.5) would take 14.00 times the MACs"
    assert why["unused"] == "it does not run when the module answers"
    printed = str(found)
    assert "depthwise  3×3, 32 → 32, depthwise" in printed
    assert "as it was: it reads the image" in printed
    assert "3 of 6 convolutions replaced" in printed


def test_a_depthwise_layer_never_becomes_an_interleaved_one() -> None:
    why = reasons(convert(Small(), {"depthwise": "igc"}, shape=SHAPE))["depthwise"]
    assert why is not None
    assert "times the MACs" in why


@every_kind
def test_the_module_itself_stays_as_it_was(kind: str) -> None:
    model = Small().train()
    model.norm.eval()
    before, kept = copy.deepcopy(model.state_dict()), dict(model.named_modules())
    convert(model, kind, shape=SHAPE, init_from_dense=True)
    assert dict(model.named_modules()) == kept
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training
    assert not model.norm.training
    assert not any(part._forward_hooks for part in model.modules())


@every_kind
@pytest.mark.parametrize("init_from_dense", [False, True])
def test_it_trains_and_costs_what_it_says(kind: str, init_from_dense: bool) -> None:
    found = convert(Small(), kind, shape=SHAPE, init_from_dense=init_from_dense)
    images = torch.randn(2, *SHAPE)
    assert found.model(images).shape == (2, 5)
    found.model(images).square().sum().backward()
    gradients = {n: p.grad for n, p in found.model.named_parameters() if "unused" not in n}
    assert all(grad is not None for grad in gradients.values())
    assert count(found.model, SHAPE) == found.after
    assert count(Small(), SHAPE) == found.before


def test_layers_that_stay_keep_their_weights_and_biases_stay_everywhere() -> None:
    model = Small()
    found = convert(model, {"wide": "xception"}, shape=SHAPE)
    old, new = model.state_dict(), found.model.state_dict()
    assert {"wide.conv.0.weight", "wide.conv.1.weight", "wide.bias"} <= new.keys()
    shared = old.keys() & new.keys()
    assert shared == old.keys() - {"wide.weight"}
    assert all(torch.equal(old[name], new[name]) for name in shared)


def test_a_module_known_by_two_names_is_replaced_by_both() -> None:
    found = convert(Small(), "deep_roots(groups=2)", shape=SHAPE)
    assert found.model.get_submodule("again") is found.model.get_submodule("shared")
    shared = next(layer for layer in found.replaced if layer.site.name == "shared")
    assert shared.site.sizes == ((8, 8), (8, 8))


def test_the_first_pattern_that_matches_counts() -> None:
    choices: dict[str, str | Conv] = {
        "shared": "igc(M=4)",
        "*e*": parse("octave(alpha=0.25)"),
    }
    found = convert(Small(), choices, shape=SHAPE)
    now = {layer.site.name: str(layer.conv) for layer in found.replaced}
    assert now == {
        "shared": "igc(L=8,M=4)",
        "wide": "octave(alpha=0.25)",
    }


def test_the_same_seed_draws_the_same_weights_and_leaves_the_random_state() -> None:
    model, state = Small(), torch.get_rng_state()
    a, b, c = (convert(model, "igc", shape=SHAPE, seed=seed).model for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [dict(m.named_parameters())["shared.0.weight"] for m in (a, b, c)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_new_layers_have_the_type_and_the_mode_of_the_old() -> None:
    model = Small().double().eval()
    found = convert(model, "octave", shape=SHAPE)
    assert {p.dtype for p in found.model.parameters()} == {torch.float64}
    assert not any(part.training for part in found.model.modules())


def test_a_forward_with_control_flow_and_any_output_will_do() -> None:
    found = convert(Controlled(), "octave", shape=SHAPE)
    assert [layer.site.name for layer in found.replaced] == ["two"]
    assert found.model(torch.zeros(1, *SHAPE))["mean"].shape == (1, 16)


def test_lazy_convolutions_are_what_they_become() -> None:
    model = nn.Sequential(nn.LazyConv2d(16, 3, padding=1), nn.LazyConv2d(16, 3, padding=1))
    found = convert(model, "xception", shape=SHAPE)
    assert [str(layer.site) for layer in found.replaced] == ["3×3, 16 → 16"]


@pytest.mark.parametrize("reason", obstacles())
def test_every_obstacle_is_named(reason: str) -> None:
    model = Row(obstacles())
    sites = survey(model, torch.zeros(1, 3, 40, 40))
    (found,) = (site for site in sites if site.name == f"parts.{reason}")
    assert found.obstacle is not None
    assert reason in found.obstacle


@pytest.mark.parametrize(
    ("model", "choices", "error", "line"),
    [
        (3, "igc", ConversionError, "a int is no torch.nn.Module"),
        (Nothing(), "igc", ConversionError, "Nothing has no Conv2d: there is nothing to convert"),
        (nn.Conv2d(4, 8, 3), "igc", ConversionError, "Conv2d fails for an image of 3×16×16: "),
        (Small(), "ig", InvalidChoiceError, "unknown convolution type 'ig'; known types: bluepri"),
        (Small(), "igc(Q=2)", InvalidChoiceError, "igc takes the settings kernel, L, M; unknown"),
        (Small(), "igc(M=x)", InvalidChoiceError, "igc: M='x' is no int"),
        (Small(), "octave(alpha=2)", InvalidChoiceError, "octave: alpha must be from 0 to 1"),
        (Small(), {"shard": "igc"}, ConversionError, "no convolution's name is like 'shard'; "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    model: nn.Module, choices: str | dict[str, str], error: type[ValueError], line: str
) -> None:
    with pytest.raises(error) as raised:
        convert(model, choices, shape=SHAPE)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("igc(L=3,M=5)", "igc(L=3,M=5): L·M = 15 must equal the width 32"),
        ("igc(M=64)", "igc has no settings with M=64 for 32 → 32 channels"),
        ("xception(kernel=5)", "its kernel is 3, not 5"),
        ("octave(kernel=5)", "its kernel is 3, not 5"),
        ("igc(L=4,kernel=5)", "its kernel is 3, not 5"),
    ],
)
def test_a_layer_that_cannot_have_a_choice_says_why(choice: str, reason: str) -> None:
    assert reasons(convert(Small(), choice, shape=SHAPE))["shared"] == reason


@given(
    st.sampled_from(sorted(TYPES)),
    st.lists(st.sampled_from([8, 12, 16, 24]), min_size=2, max_size=4),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([1, 2]),
    st.integers(5, 12),
)
@settings(max_examples=60)
def test_whatever_the_widths_shapes_are_kept_and_work_shrinks(
    kind: str, widths: list[int], kernel: int, stride: int, side: int
) -> None:
    rows = [nn.Conv2d(3, widths[0], 1)]
    rows += [nn.Conv2d(a, b, kernel, stride, kernel // 2) for a, b in itertools.pairwise(widths)]
    model = nn.Sequential(*rows)
    found = convert(model, kind, shape=(3, side, side))
    # Two: the BN of a type cannot learn from a single value.
    images = torch.zeros(2, 3, side, side)
    assert found.model(images).shape == model(images).shape
    assert (found.after.macs < found.before.macs) == bool(found.replaced)
    assert all((layer.conv is None) == (layer.reason is not None) for layer in found.layers)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnext50_32x4d", "densenet121", "mobilenet_v2", "regnet_y_400mf",
     "efficientnet_b0", "convnext_tiny", "vgg11"],
)  # fmt: skip
def test_every_family_of_torchvision_converts(name: str) -> None:
    with torch.random.fork_rng():
        model = models.get_model(name, weights=None, num_classes=10)
    found = convert(model, "octave(alpha=0.5)", shape=(3, 64, 64))
    logits = found.model(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 10)
    logits.square().sum().backward()
    # ConvNeXt has depthwise layers, patches of even sides and linear layers, none to replace.
    assert bool(found.replaced) == (name != "convnext_tiny")
    assert all(layer.reason for layer in found.layers if layer.conv is None)


def test_oct_resnet_50_is_the_papers_but_for_where_octaves_begin_and_end() -> None:
    with torch.random.fork_rng():
        model = models.resnet50(weights=None)
    found = convert(model, {"layer[123].*": "octave(alpha=0.5)"})
    paper: dict[str, int] = {}
    kernels: dict[str, set[str]] = {}
    for part in get("oct-resnet-50-v1b-a0.5").counts().layers:
        stage, _, path = part.name.removeprefix("body.").partition(".")
        name = f"{stage.replace('L', 'layer').replace('_B', '.')}.{path.partition('.')[0]}"
        name = name.replace("conv4", "downsample.0")
        paper[name] = paper.get(name, 0) + part.macs
        kernels.setdefault(name, set()).add(f"{part.c_in} {part.c_out}")
    ours = {layer.site.name: layer.macs for layer in found.layers if "." in layer.site.name}
    other = {name for name, macs in ours.items() if macs != paper[name]}
    # The paper's first block has no low frequency to read yet, and its last stage takes it back
    # with its first convolutions: there α differs between a layer's input and its output. (That
    # stage's shortcut does so at as many MACs: it pools where ours strides.)
    assert other == {"layer1.0.conv1", "layer1.0.downsample.0", "layer4.0.conv1"}
    assert found.after.params == get("oct-resnet-50-v1b-a0.5").counts().params == 25_557_032
    assert found.after.macs == 2_393_636_864
    assert sum(paper[name] - ours[name] for name in other) == 2_367_143_936 - 2_393_636_864
    for layer in found.replaced:
        if layer.site.name not in other:
            conv = found.model.get_submodule(f"{layer.site.name}.conv")
            paths = {f"{p.in_channels} {p.out_channels}" for p in conv.children()
                     if isinstance(p, nn.Conv2d)}  # fmt: skip
            assert paths == kernels[layer.site.name]


def test_what_torch_compile_made_of_a_module_is_passed_over() -> None:
    found = convert(torch.compile(Small()), "octave(alpha=0.5)", shape=SHAPE)  # type: ignore[arg-type]
    assert type(found.model) is Small
    assert found.replaced
