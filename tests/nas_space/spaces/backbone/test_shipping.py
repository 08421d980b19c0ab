"""What torch runs is searched and shipped; what cannot be shipped is not searched."""

from pathlib import Path

import pytest
import torch

from nas_space.bundle import Classifier, Preprocessing
from nas_space.bundle.source import source
from nas_space.bundle.weights import write_weights
from nas_space.costs.cost import Task
from nas_space.costs.counting import count
from nas_space.spaces.backbone import shipping
from nas_space.spaces.backbone.space import BackboneSpace
from nas_space.spaces.building import build
from nas_space.spaces.registry import find
from nas_space.spaces.space import UnknownSpaceError
from tests.model_files import imported
from tests.nas_space.spaces.backbone.networks import ACCEPTED, Computed

NETWORKS = f"backbone:{Computed.__module__}"
DIGITS = Task(1, (8, 8), 10)
SHAPE = (1, 8, 8)
PREPROCESSING = Preprocessing(SHAPE, (0.4,), (0.2,), tuple("abcdefghij"))


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_trains_as_in_plain_torch_and_is_written_with_its_outputs(
    name: str, tmp_path: Path
) -> None:
    space = find(f"{NETWORKS}:{name}", DIGITS)
    for architecture in (space.reference(), space.smallest(DIGITS)):
        network = build(architecture, 1, 10)
        network.to(memory_format=torch.channels_last)
        network.train()(torch.rand(4, *SHAPE)).square().sum().backward()
        grads = {key: weight.grad for key, weight in network.named_parameters()}
        lost = {key for key, grad in grads.items() if grad is None or not grad.isfinite().all()}
        assert lost == ({"fc.weight", "fc.bias"} if name == "Computed" else set())
        (tmp_path / "model.py").write_text(source(architecture, PREPROCESSING), encoding="utf-8")
        write_weights(tmp_path / "weights.safetensors", network.state_dict())
        # In double precision: rounding in float32 differs by the order of additions.
        written = imported(tmp_path / "model.py").load().double()
        ours = Classifier(network, PREPROCESSING).double().eval()
        for number in (1, 7):
            images = torch.rand(number, *SHAPE, dtype=torch.double)
            expected = ours(images)
            torch.testing.assert_close(written(images), expected, atol=1e-9, rtol=1e-9)
            # The user's own, which knows nothing of a search.
            if architecture == space.reference():
                own = ACCEPTED[name]()
                own = getattr(own, "_orig_mod", own).double().eval()
                if name != "compiled":
                    own.load_state_dict(network.state_dict())
                    # Rounded as the constants of a network in float32 are.
                    given = (images - torch.tensor(0.4)) / torch.tensor(0.2)
                    torch.testing.assert_close(own(given), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("Computed", 9 * 16 * (1 + 3 * 16) * 64 + 16 * 10),
        ("transposed", 9 * 16 * (1 + 16) * 64 + 4 * 16 * 32 * 64 + 32 * 10),
    ],
)
def test_macs_are_those_of_functions_and_transposed_convolutions_too(name: str, macs: int) -> None:
    assert count(ACCEPTED[name](), SHAPE).macs == macs
    space = find(f"{NETWORKS}:{name}", DIGITS)
    assert space.reference().cost(DIGITS).macs == macs


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Random", "Random cannot be shipped: it gives random numbers in eval mode"),
        ("Strided", "Strided cannot be shipped: it gives other outputs for images in torch.chann"),
        ("Counted", "torch.fx cannot follow its forward, whose way must not depend on what it se"),
        ("Asked", "Asked cannot have other convolutions: 'Biased' object has no attribute 'in_ch"),
        ("Changed", "Changed cannot be shipped: act gives random numbers in eval mode"),
        ("Table", "forward uses table, 2,048 numbers that its state_dict does not hold"),
        ("Custom", "cannot be written out in plain torch: its forward calls torch.ops.mine.twice"),
    ],
)
def test_what_cannot_be_shipped_is_one_line_before_the_search(name: str, line: str) -> None:
    with pytest.raises(UnknownSpaceError) as raised:
        find(f"{NETWORKS}:{name}", DIGITS)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_that_only_training_keeps_small_are_no_obstacle() -> None:
    space = find(f"{NETWORKS}:Gated", DIGITS)
    assert isinstance(space, BackboneSpace)
    assert len(space.backbone.sites) == 2 + 4 * 12


def test_a_convolution_whose_weight_is_read_elsewhere_stays() -> None:
    space = find(f"{NETWORKS}:Weighed", DIGITS)
    assert isinstance(space, BackboneSpace)
    assert [site.name for site in space.backbone.sites] == ["blocks.2"]


def test_a_comparison_that_takes_long_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shipping, "_PATIENCE", 0.0)
    find(f"{NETWORKS}:same", DIGITS)
    told = capsys.readouterr().err
    assert told == f"comparing {NETWORKS.removeprefix('backbone:')}:same with an export of it\n"
