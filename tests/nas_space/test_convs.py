"""Every convolution type keeps the contract; a new one is tested here unasked."""

import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas_space.convs import TYPES, Conv, InvalidChoiceError, parse
from nas_space.convs.base import out_size
from nas_space.convs.octave import Octave
from nas_space.costs.by_thop import thop_count
from nas_space.costs.counting import count
from nas_space.layers.source import Definitions, definitions
from nas_space.layers.spelling import spelled

WIDTHS = [(16, 16), (16, 32), (24, 16), (32, 32)]
SIZES = [(8, 8), (7, 7), (5, 6), (1, 1)]


def choices() -> list[tuple[Conv, int, int]]:
    return [
        (conv, c_in, c_out)
        for kind in TYPES.all().values()
        for c_in, c_out in WIDTHS
        for conv in kind.settings(c_in, c_out)
    ]


def case_name(value: object) -> str:
    return str(value)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


every_choice = pytest.mark.parametrize(("conv", "c_in", "c_out"), choices(), ids=case_name)
every_kind = pytest.mark.parametrize("kind", TYPES.all().values(), ids=lambda kind: str(kind.kind))
every_stride = pytest.mark.parametrize("stride", [1, 2])


@every_choice
@every_stride
@pytest.mark.parametrize("size", SIZES, ids=case_name)
def test_output_has_the_asked_width_and_the_input_size_divided_by_the_stride(
    conv: Conv, c_in: int, c_out: int, stride: int, size: tuple[int, int]
) -> None:
    module = conv.build(c_in, c_out, stride)
    assert module(torch.randn(2, c_in, *size)).shape == (2, c_out, *out_size(size, stride))


@every_choice
@every_stride
@pytest.mark.parametrize("size", [(8, 8), (7, 5)], ids=case_name)
def test_closed_form_agrees_with_thop_and_with_torchs_counter(
    conv: Conv, c_in: int, c_out: int, stride: int, size: tuple[int, int]
) -> None:
    module = conv.build(c_in, c_out, stride)
    for measured in (count(module, (c_in, *size)), thop_count(module, (c_in, *size))):
        assert conv.params(c_in, c_out) == measured.params
        assert conv.macs(c_in, c_out, size, stride) == measured.macs


@pytest.mark.parametrize("c_in", [4, 8, 16, 24, 32])
@pytest.mark.parametrize("c_out", [4, 8, 16, 24, 32, 48])
def test_no_two_choices_at_the_same_widths_are_one_network(c_in: int, c_out: int) -> None:
    """Else a search would hold one network under two keys, and train it twice."""
    seen: dict[object, Conv] = {}
    for conv in (conv for kind in TYPES.all().values() for conv in kind.settings(c_in, c_out)):
        module = conv.build(c_in, c_out)
        torch.manual_seed(0)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
        output = module.eval()(torch.ones(1, c_in, 4, 4)).detach()
        look = (*(tuple(p.shape) for p in module.parameters()), *output.flatten().tolist())
        assert look not in seen, f"{conv} is {seen.get(look)}"
        seen[look] = conv


@every_choice
def test_every_weight_and_input_gets_a_gradient(conv: Conv, c_in: int, c_out: int) -> None:
    module = conv.build(c_in, c_out)
    x = torch.randn(2, c_in, 6, 6, requires_grad=True)
    module(x).square().sum().backward()
    for tensor in (x, *module.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


@every_choice
def test_every_output_channel_depends_on_every_input_channel(
    conv: Conv, c_in: int, c_out: int
) -> None:
    module = conv.build(c_in, c_out).double()
    x = torch.randn(1, c_in, 4, 4, dtype=torch.double, requires_grad=True)
    y = module(x).sum(dim=(0, 2, 3))
    for channel in range(c_out):
        (gradient,) = torch.autograd.grad(y[channel], x, retain_graph=True)
        assert (gradient.abs().sum(dim=(0, 2, 3)) > 1e-12).all()


@every_choice
def test_its_spelling_reads_back_as_an_equal_value(conv: Conv, c_in: int, c_out: int) -> None:
    again = parse(str(conv))
    assert again == conv
    assert hash(again) == hash(conv)
    assert again.unsupported_reason(c_in, c_out) is None


@every_choice
def test_it_is_linear_and_without_normalisation(conv: Conv, c_in: int, c_out: int) -> None:
    module = conv.build(c_in, c_out).double()
    if conv.kind == "separable":  # by its paper, BN and ReLU are between its two convolutions
        inside = [type(part) for part in module.children()]
        assert inside == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
        return
    x, y = torch.randn(2, 1, c_in, 6, 6, dtype=torch.double)
    assert torch.allclose(module(2 * x - y), 2 * module(x) - module(y), atol=1e-9)
    kinds_inside = {type(m) for m in module.modules() if not list(m.children())}
    assert all(issubclass(k, nn.Conv2d | nn.ChannelShuffle | nn.Identity) for k in kinds_inside)


@every_choice
@every_stride
@pytest.mark.parametrize("size", [(8, 8), (7, 5)], ids=case_name)
def test_its_text_makes_the_same_module_of_plain_torch(
    conv: Conv, c_in: int, c_out: int, stride: int, size: tuple[int, int], tmp_path: Path
) -> None:
    module = conv.build(c_in, c_out, stride)
    plain = written(conv, c_in, c_out, stride, tmp_path / "plain.py")
    plain.load_state_dict(module.state_dict())
    x = torch.randn(3, c_in, *size)
    assert torch.allclose(plain.eval()(x), module.eval()(x), atol=1e-6)


def written(conv: Conv, c_in: int, c_out: int, stride: int, path: Path) -> nn.Module:
    """The module that a choice's text makes, where nothing of ours is imported."""
    layer = conv.layer()
    needed = definitions(layer) if layer is not None else Definitions((), {})
    path.write_text(
        "import torch\nfrom torch import Tensor, nn\nfrom torch.nn import functional as F\n"
        + "\n".join([*needed.imports, *needed.parts.values()])
        + f"\nmodule = {conv.expression(c_in, c_out, stride)}\n"
    )
    assert "nas_space" not in path.read_text()
    spec = importlib.util.spec_from_file_location("plain", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    module: nn.Module = found.module
    return module


@every_choice
def test_the_same_seed_gives_the_same_weights(conv: Conv, c_in: int, c_out: int) -> None:
    def weights() -> torch.Tensor:
        torch.manual_seed(3)
        return torch.cat([p.flatten() for p in conv.build(c_in, c_out).parameters()])

    assert torch.equal(weights(), weights())


@every_kind
@given(c_in=st.integers(1, 300), c_out=st.integers(1, 300))
def test_offered_settings_fit_and_are_distinct(kind: type[Conv], c_in: int, c_out: int) -> None:
    offered = kind.settings(c_in, c_out)
    assert len(set(offered)) == len(offered)
    assert all(conv.unsupported_reason(c_in, c_out) is None for conv in offered)
    weights = [conv.params(c_in, c_out) for conv in offered]
    assert weights == sorted(weights, reverse=True)


@every_kind
def test_it_names_its_paper(kind: type[Conv]) -> None:
    assert kind.paper
    assert kind.kind == kind.__module__.rpartition(".")[2]


@pytest.mark.parametrize("alpha", [0, 1])
@every_stride
def test_an_octave_of_one_frequency_has_a_text_as_well(
    alpha: float, stride: int, tmp_path: Path
) -> None:
    conv = Octave(alpha=alpha)
    module = conv.build(8, 12, stride)
    plain = written(conv, 8, 12, stride, tmp_path / "plain.py")
    plain.load_state_dict(module.state_dict())
    x = torch.randn(3, 8, 7, 6)
    assert torch.allclose(plain.eval()(x), module.eval()(x), atol=1e-6)


def test_a_module_that_torch_does_not_know_needs_a_text_of_its_own() -> None:
    for module in (nn.Sequential(nn.Conv2d(1, 1, 1), Own()), Own()):
        with pytest.raises(InvalidChoiceError, match="Own is none of torch's own layers"):
            spelled(module)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.Conv2d(4, 4, 3, padding="same"), "padding='same'"),
        (
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", bias=False),
            "padding_mode='reflect'",
        ),
        (nn.AvgPool2d(3, 2, ceil_mode=True), "ceil_mode=True"),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), "count_include_pad=False"),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "align_corners=True"),
        (nn.Hardswish(inplace=True), "inplace=True"),
    ],
    ids=str,
)
def test_the_text_of_a_layer_has_what_torch_does_not_print(module: nn.Module, text: str) -> None:
    assert text in spelled(module)
    made = eval(spelled(module))  # noqa: S307 - our own text
    assert made.state_dict().keys() == module.state_dict().keys()
    x = torch.rand(2, 4, 6, 6)
    made.load_state_dict(module.state_dict())
    assert torch.equal(made(x), module(x))


def test_a_layer_that_computes_something_else_has_no_text() -> None:
    hooked, other = nn.ReLU(), nn.ReLU()
    hooked.register_forward_hook(lambda *_: None)
    other.forward = torch.tanh  # type: ignore[method-assign]
    for module in (hooked, other, nn.Sequential(other)):
        with pytest.raises(InvalidChoiceError, match="none of torch's own layers"):
            spelled(module)


class Own(nn.Module):
    """A layer that torch does not have."""


def test_equal_values_have_one_spelling() -> None:
    assert str(Octave(alpha=1)) == str(Octave(alpha=1.0)) == "octave(alpha=1.0)"
    assert str(Octave(alpha=-0.0)) == str(Octave(alpha=0.0)) == "octave(alpha=0.0)"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("igc(L=3,M=5)", r"L·M = 15 must equal the width 16"),
        ("igc(L=16,M=1)", r"L = 16 must divide the 24 input channels"),
        ("octave(alpha=0.03)", r"alpha = 0.03 of 24 channels leaves no low ones"),
        ("deep_roots(groups=5)", r"5 groups do not divide 24 channels"),
    ],
)
def test_a_misfit_says_why(label: str, reason: str) -> None:
    with pytest.raises(InvalidChoiceError, match=reason):
        parse(label).check(24, 16)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "IGC(L=4,M=4)",
        "winograd",
        "igc",
        "igc()",
        "igc(L=4)",
        "igc(L=4,M=x)",
        "igc(L=4,M=4,M=4)",
        "igc(L=0,M=4)",
        "igc(L=4,M=4,N=4)",
        "igc(L=4,M=4",
        "igc(L=4.0,M=4)",
        "octave(alpha=1.5)",
        "octave(alpha=nan)",
        "deep_roots(groups=-2)",
        "regular(kernel=2)",
        "regular(kernel=99)",
        "regular(__class__=3)",
        "__import__('os')",
        "igc(L=٤,M=4)",
        "igc(L=4,\nM=4)",
        "igc(L=4,M=4)\n",
        "igc(L=" + "4" * 300 + ",M=4)",
        "octave(alpha=1e400)",
        "octave(alpha=__import__('os'))",
        "\0",
        "x" * 10**6,
    ],
)
def test_a_bad_label_is_refused(label: str) -> None:
    with pytest.raises(InvalidChoiceError):
        parse(label)


settings = st.sampled_from(["L", "M", "K1", "K2", "K3", "K4", "alpha", "groups", "kernel", "x"])
numbers = (
    st.integers(0, 20).map(str)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["", "1_0", "٣", "0x4", "True", "1e400", "-0.0", "os.system", "4\n"])
)


def spelt(kind: str, given: dict[str, str]) -> str:
    return f"{kind}({','.join(f'{name}={value}' for name, value in given.items())})"


labels = st.builds(spelt, st.sampled_from(list(TYPES)), st.dictionaries(settings, numbers))


@given(st.text(max_size=40) | labels, st.integers(1, 64), st.integers(1, 64))
def test_any_text_is_a_choice_of_one_spelling_that_fits_or_not_or_is_refused(
    text: str, c_in: int, c_out: int
) -> None:
    try:
        conv = parse(text)
    except InvalidChoiceError as error:
        refused = str(error)
    else:
        assert parse(str(conv)) == conv
        refused = conv.unsupported_reason(c_in, c_out) or str(conv)
    assert refused
    assert "\n" not in refused
