"""Plans: operators computed the way that the clock favours, and the same function."""

import json
from pathlib import Path

import pytest
import torch

from nas_space.architecture import Architecture
from nas_space.convs import parse
from nas_space.grouped import GroupConv2d
from nas_space.interleaved import Interleaved
from nas_space.network import build
from nas_space.planned import Planned, Way
from nas_space.residual import ResidualArchitecture, Stage
from searchers.plans import Plans
from searchers.ray.worker import Training
from trainers import recipes
from trainers.datasets import load
from trainers.devices import Device

CPU = Device(torch.device("cpu"), None)
SHAPE = (16, 1, 8, 8)
BLOCK = (parse("igc(L=4,M=8)"), parse("deep_roots(groups=4)"))
NETWORK: Architecture = ResidualArchitecture((Stage(32, (BLOCK,)),))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def kept(home: Path) -> Path:
    (file,) = home.glob(".cache/convnas/plans/*.json")
    return file


def test_every_operator_with_a_choice_is_timed_once_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    known = json.loads(kept(tmp_path).read_bytes())
    # Two group convolutions, the chain of one of them, and what is 1×1 or the stem.
    assert {key.partition("(")[0] for key in known} == {"DenseConv2d", "GroupConv2d", "Interleaved"}
    ways = {"own", "together", "torch", "dense", "parts", "mixed", "direct", "winograd"}
    assert set(known.values()) <= ways

    def never(*_: object) -> str:
        raise AssertionError("timed again")

    monkeypatch.setattr("searchers.plans._fastest", never)
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)


@pytest.mark.parametrize("damage", [b"", b"[1]", b'{"a": '])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    known = json.loads(kept(tmp_path).read_bytes())
    kept(tmp_path).write_bytes(damage)
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    assert json.loads(kept(tmp_path).read_bytes()).keys() == known.keys()


def test_what_is_known_is_taken_and_told_by_the_operators_name(tmp_path: Path) -> None:
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    known = json.loads(kept(tmp_path).read_bytes())
    forced = {key: "parts" if key.startswith("Inter") else "torch" for key in known}
    kept(tmp_path).write_text(json.dumps(forced))
    network = build(NETWORK, 1, 10)
    chosen = Plans().choose(network, SHAPE, CPU)
    assert chosen["blocks.0.conv1"] == "parts"
    assert isinstance(chain := network.get_submodule("blocks.0.conv1"), Interleaved)
    assert chain.plan == "parts"


def test_a_way_that_is_no_way_here_is_measured_again(tmp_path: Path) -> None:
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    known = json.loads(kept(tmp_path).read_bytes())
    kept(tmp_path).write_text(json.dumps(dict.fromkeys(known, "sideways")))
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)
    assert "sideways" not in json.loads(kept(tmp_path).read_bytes()).values()


def test_choosing_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    network = build(NETWORK, 1, 10)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Plans().choose(network, SHAPE, CPU)
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert kept(tmp_path).exists()


def test_without_a_place_to_keep_them_they_are_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    Plans().choose(build(NETWORK, 1, 10), SHAPE, CPU)


@pytest.mark.parametrize(
    "module",
    [
        GroupConv2d(32, 32, 3, 1, 1, groups=8, bias=False),
        GroupConv2d(32, 32, 3, 2, 1, groups=32, bias=False),
        parse("igc(L=4,M=8)").build(32, 32),
        parse("igcv2(K1=2,K2=4,K3=4)").build(32, 32, 2),
    ],
    ids=["groups", "depthwise", "igc", "igcv2"],
)
def test_all_ways_give_the_same_outputs_and_gradients(module: torch.nn.Module) -> None:
    assert isinstance(module, Planned)
    x = torch.randn(32, 32, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    parts = [x, *module.parameters()]

    def result(way: Way) -> list[torch.Tensor]:
        y = way(x)
        dy = torch.linspace(-1, 1, y.numel()).view(y.shape)
        return [y.detach(), *torch.autograd.grad(y, parts, dy)]

    ways = module.ways(x)
    assert len(ways) > 1
    first, *others = [result(way) for way in ways.values()]
    for other in others:
        for one, two in zip(first, other, strict=True):
            torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_a_trial_says_which_plans_it_took_and_they_change_no_more_than_digits(
    tmp_path: Path,
) -> None:
    data = load("digits").search
    recipe = recipes.get("quick")
    config = {
        "architecture": NETWORK.text,
        "seed": 0,
        "epochs": recipe.epochs,
        "start": 0,
        "checkpoint": type("None", (), {"data": None}),
    }
    measured = Training(data, recipe, 1, measures_plans=True).start()
    first = measured(config)
    assert set(first["plans"].values()) <= {"own", "together", "torch", "dense", "parts"}
    assert kept(tmp_path).exists()
    # With the same plans, to the last digit; by the rules, nearly.
    assert measured(config)["train_loss"] == first["train_loss"]
    by_rules = Training(data, recipe, 1).start()(config)
    assert by_rules["plans"] == {}
    assert by_rules["train_loss"] == pytest.approx(first["train_loss"], rel=0.2)
