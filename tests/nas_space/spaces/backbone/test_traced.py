"""A backbone written out: plain torch that gives its outputs, under its names."""

import random
from pathlib import Path

import pytest
import torch

from nas_space.bundle import Classifier, Preprocessing
from nas_space.bundle.source import source
from nas_space.bundle.weights import write_weights
from nas_space.costs.cost import Task
from nas_space.spaces.backbone.space import BackboneSpace
from nas_space.spaces.building import build
from nas_space.spaces.registry import find
from tests.model_files import imported

MODELS = "tests.nas_space.conversion.models"


def drawn(space: BackboneSpace, seed: int) -> dict[str, str]:
    chance = random.Random(seed)
    return {p.name: chance.choice(p.labels) for p in space.parameters}


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        (f"{MODELS}:Tiny", 1),  # biases, groups, a parameter of its own
        ("resnet18", 3),
        ("densenet121", 3),  # concatenations
        ("efficientnet_b0", 3),  # stochastic depth, squeeze and excitation
        ("shufflenet_v2_x0_5", 3),  # views and chunks
    ],
)
def test_it_has_the_modules_names_and_gives_its_outputs(
    name: str, channels: int, tmp_path: Path
) -> None:
    task = Preprocessing(
        (channels, 32, 32), (0.4,) * channels, (0.2,) * channels, tuple("abcdefghij")
    )
    space = find(f"backbone:{name}", Task(channels, (32, 32), 10))
    assert isinstance(space, BackboneSpace)
    architecture = space.decode(drawn(space, 1))
    network = build(architecture, channels, 10, seed=1)
    network(torch.randn(8, channels, 32, 32))  # statistics that are not 0 and 1
    text = source(architecture, task)
    imports = [line for line in text.splitlines() if "import" in line]
    assert not [line for line in imports if "nas_space" in line or "torchvision" in line]
    (tmp_path / "model.py").write_text(text, encoding="utf-8")
    write_weights(tmp_path / "weights.safetensors", network.state_dict())
    plain = imported(tmp_path / "model.py").load()
    assert plain.state_dict().keys() == network.state_dict().keys()
    ours = Classifier(network, task).eval()
    for count in (1, 7):
        images = torch.rand(count, channels, 32, 32)
        torch.testing.assert_close(plain(images), ours(images), atol=1e-5, rtol=1e-5)


def test_it_names_the_papers_of_what_was_chosen() -> None:
    space = find("backbone:resnet18", Task(3, (32, 32), 10))
    labels = {"layer1.0.conv1": "octave", "layer1.0.conv2": "igc"}
    task = Preprocessing((3, 32, 32), (0.5,) * 3, (0.25,) * 3, tuple("abcdefghij"))
    text = source(space.decode(labels), task)
    assert "- octave: Chen et al." in text
    assert "- igc: Zhang et al." in text
    assert "- all else: resnet18" in text
    assert 'place(self, "layer1.0.conv1", Octave(64, 64, alpha=0.125))' in text
