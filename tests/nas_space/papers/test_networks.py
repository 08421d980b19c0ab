"""Named networks: their names, their modules, and the command that lists them."""

import contextlib
import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_space.convs.igc import IGC
from nas_space.networks import main
from nas_space.papers import PaperNetwork, UnknownNetworkError, families, get, networks
from nas_space.papers.grouped.igc import SummationFusion
from nas_space.papers.grouped.merge_and_run import MergeAndRun
from tests.refusals import after_waiting

every_name = pytest.mark.parametrize("name", networks())


@every_name
def test_a_name_reads_back_as_an_equal_network(name: str) -> None:
    assert get(name) == networks()[name]
    assert get(name.upper()).name == name


@every_name
def test_its_layers_account_for_all_parameters(name: str) -> None:
    counts = get(name).counts()
    assert sum(layer.params for layer in counts.layers) + counts.norm_params == counts.params
    assert all(layer.macs > 0 for layer in counts.layers)


SMALL = (
    "dfn-mr-d26w1",
    "dfn-mr-imagenet",
    "gpc-g4w28-d8",
    "igc-l4m32-imagenet",
    "igc-l4m8-d8",
    "igc-l4m8-official-d8-ident",
    "igcv2-w48-d8",
    "igcv3-d-0.25",
    "nin-root-16",
    "oct-c2d-resnet-50-a0.1",
    "oct-densenet-121-a0.125",
    "oct-mobilenet-v1-0.75-a0.375",
    "oct-mobilenet-v2-1-a0.375",
    "oct-resnet-26-v2-a0.5",
    "regconv-w16-d8",
    "resnet-18-w64",
    "resnet-50-root-64",
    "sumfusion-l4m8-d8",
    "xception",
    "xception-w40-d8",
)


def test_each_family_is_trained_below() -> None:
    assert {type(get(name)) for name in SMALL} == set(families())


@pytest.mark.parametrize("name", SMALL)
def test_it_trains_and_every_weight_gets_a_gradient(name: str) -> None:
    network = get(name)
    module = network.build(seed=1)
    size = [min(side, 32) for side in network.shape[1:]]
    logits = module(torch.randn(2, network.shape[0], *size))
    assert logits.shape[0] == 2
    logits.square().mean().backward()
    for parameter, weight in module.named_parameters():
        assert weight.grad is not None, parameter
        assert weight.grad.isfinite().all(), parameter


@pytest.mark.parametrize("name", ["nin-root-4", "igc-l4m8-d20"])
def test_the_same_seed_gives_the_same_network_and_leaves_the_global_state(name: str) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = get(name).build(seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    same, other = get(name).build(seed=3), get(name).build(seed=4)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )


@settings(max_examples=25)
@given(blocks=st.integers(1, 12), partitions=st.integers(1, 32), channels=st.integers(1, 32))
def test_igc_networks_follow_the_closed_form_at_any_depth(
    blocks: int, partitions: int, channels: int
) -> None:
    depth = 3 * blocks + 2
    network = get(f"igc-l{partitions}m{channels}-d{depth}")
    width = partitions * channels
    stages = [IGC(L=partitions, M=channels * 2**stage) for stage in range(3)]
    expected = 27 * width + 4 * width * 10 + 10
    before = width
    for stage, conv in enumerate(stages):
        after = width * 2**stage
        expected += conv.params(before, after) + (blocks - 1) * conv.params(after, after)
        before = after
    norms = 2 * width * (1 + blocks * 7)
    assert sum(p.numel() for p in _without_memory(network).parameters()) == expected + norms


def _without_memory(network: object) -> nn.Module:
    with torch.device("meta"):
        module = network.module()  # type: ignore[attr-defined]
    assert isinstance(module, nn.Module)
    return module


@pytest.mark.parametrize("stride", [1, 2])
def test_summation_fusion_is_igc_whose_secondary_weights_are_all_1(stride: int) -> None:
    fusion = SummationFusion(12, 12 * stride, 3, stride).double()
    igc = IGC(L=3, M=4 * stride).build(12, 12 * stride, stride).double()
    primary, secondary = (m for m in igc.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        primary.weight.copy_(fusion.primary.weight)
        secondary.weight.fill_(1)
    x = torch.randn(2, 12, 7, 7, dtype=torch.double)
    assert torch.allclose(fusion(x), igc(x), atol=1e-12)


def test_what_merge_and_run_shares_it_shares_for_ever() -> None:
    # The matrix of its shortcut, ½[[I, I], [I, I]], is idempotent.
    class Nothing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(x)

    block = MergeAndRun(Nothing, nn.Identity)
    a, b = torch.rand(2, 1, 3, 4, 4)
    once = block((a, b))
    assert torch.equal(once[0], (a + b) / 2)
    for x, y in zip(once, block(once), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("igc-l4m8", "unknown network 'igc-l4m8'; did you mean igc-l4m8-d"),
        ("alexnet", "unknown network 'alexnet'"),
        ("igc-l4m8-d21", r"3n \+ 2 layers, not 21"),
        ("igc-l4m8-d23-ident", r"6n \+ 2 layers, not 23"),
        ("igc-l0m8-d20", "at least 1 channel"),
        ("regconv-w16-d20-c0", "at least 1 channel and 1 class"),
        ("regconv-w0-d20", "at least 1 channel"),
        ("gpc-g3w28-d20", "3 groups do not divide 28 channels"),
        ("gpc-g0w28-d20", "groups must be at least 1"),
        ("igcv2-w7-d20", "three stages cannot share 7 channels"),
        ("igc-l4m8-official-d20", "add -ident"),
        ("igc-l100m3-imagenet-widen-l", "M is even, not 3"),
        ("dfn-mr-d26w1-c0", "at least 1 channel and 1 class"),
        ("resnet-50-v1b-a0.25", "did you mean oct-resnet-50-v1b-a0.25"),
        ("oct-resnext-50-v2-a0.254", "191 channels, which 32 groups do not divide"),
        ("nin-root-٤", "unknown network"),
        ("zzz*", "unknown network|no network's name is like"),
        ("nin-root-3", "a power of two from 1 to 32, not 3"),
        ("resnet-50-root-128", "a power of two from 1 to 64"),
        ("dfn-mr-d30w1", r"12n \+ 2, not 30"),
        ("igcv3-d-0.01", "a stage of no channels"),
        ("oct-resnext-50-v2-a0.125", "112 channels, which 32 groups do not divide"),
        ("oct-resnet-50-v1b-a1", "unknown network"),
        ("oct-resnet-50-v1b", "unknown network"),
        ("oct-resnet-50-v1b-a0.25@225", "a multiple of 32, not 225"),
        ("oct-mobilenet-v1-0.1-a0.5", "at least 0.25"),
    ],
)
def test_a_bad_name_is_one_line_and_exit_code_2(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownNetworkError, match=reason):
        get(name)
    for arguments in ([name], ["--build", name], ["--json", name]):
        monkeypatch.setattr("sys.argv", ["networks", *arguments])
        assert main() == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        assert printed.out == ""


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_whatever_a_familys_pattern_allows_reads_back_or_is_refused(
    family: type[PaperNetwork],
) -> None:
    @settings(max_examples=40)
    @given(st.from_regex(family.pattern, fullmatch=True))
    def check(name: str) -> None:
        with contextlib.suppress(UnknownNetworkError):
            assert get(get(name).name) == get(name)

    check()


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("igcv3-d-2.0", "igcv3-d-2"),
        ("oct-resnet-50-v1b-a0.10", "oct-resnet-50-v1b-a0.1"),
        ("oct-resnet-50-v1b-a0.00001", "oct-resnet-50-v1b-a0.00001"),
        ("oct-mobilenet-v2-1.000-a0.5", "oct-mobilenet-v2-1-a0.5"),
        ("IGC-L4M8-D20", "igc-l4m8-d20"),
    ],
)
def test_a_network_has_one_spelling(name: str, canonical: str) -> None:
    assert get(name).name == canonical
    assert get(canonical) == get(name)


@given(st.text(max_size=30))
def test_any_other_text_is_refused(text: str) -> None:
    with contextlib.suppress(UnknownNetworkError):
        assert isinstance(get(text), PaperNetwork)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr("sys.argv", ["networks", *arguments])
    assert main() == 0
    return capsys.readouterr().out


def test_the_list_says_what_agrees_and_what_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run(monkeypatch, capsys, "igcv3-d", "nin*")
    lines = printed.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("igcv3-d "))
    assert lines[at].split() == ["igcv3-d", "3,491,688", "312,970,176", "yes", "(executed)"]
    assert lines[at + 1].startswith("    printed 3.5M parameters: yes (IGCV3 paper")
    assert lines[at + 3].startswith("    printed 318M MACs: no (IGCV3 paper")
    assert lines[at + 4].strip().startswith("ours 312,970,176: convolutions and classifier")
    assert sum(line.startswith("nin") for line in lines) == 5


def test_the_list_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (network,) = json.loads(run(monkeypatch, capsys, "--json", "igc-l100m2-imagenet-widen-l"))
    assert network["params"] == 8_637_900
    assert network["exact"]["agrees"]
    assert network["exact"]["how"] == "executed"
    params, macs = network["published"]
    assert params["printed"] == "8.61M"
    assert params["ours"] == 8_607_700
    assert params["agrees"]
    assert macs["agrees"]


def test_a_pattern_beside_a_name_to_build_and_a_pattern_without_match_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["networks", "--build", "nin", "igc*"])
    with pytest.raises(SystemExit, match="2"):
        main()
    monkeypatch.setattr("sys.argv", ["networks", "zzz*"])
    assert main() == 2
    assert capsys.readouterr().err.endswith("error: no network's name is like 'zzz*'\n")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    for arguments in (["nin*", "igc*d20"], ["--json", "nin"], ["--build", "igc-l4m8-d62"]):
        listing = [sys.executable, "-m", "nas_space.networks", *arguments]
        with subprocess.Popen(listing, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.close()
            assert after_waiting(child.stderr.read().decode()) == ""
        assert child.returncode == 0


def test_a_network_that_is_not_listed_is_counted_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "igc-l5m4-d14-ident" in run(monkeypatch, capsys, "igc-l5m4-d14-ident")


def test_building_prints_every_layer_and_the_totals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run(monkeypatch, capsys, "--build", "igc-l4m8-d8")
    assert printed.count("4 groups") == 6
    assert "3×3, stride 2, 4 groups" in printed
    assert "78,634 parameters (960 of them in BN)" in printed
    data = json.loads(run(monkeypatch, capsys, "--json", "--build", "igc-l4m8-d8"))
    assert sum(layer["macs"] for layer in data["layers"]) == data["macs"] == 13_141_248
