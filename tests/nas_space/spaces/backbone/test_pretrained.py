"""Weights that come with a network of torchvision, from torch's cache of downloads."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from nas_space.costs.cost import Task
from nas_space.spaces.backbone.loading import UnknownBackboneError, load
from nas_space.spaces.building import build
from nas_space.spaces.registry import find

NAME = "mobilenet_v3_small"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights in the cache, where torch finds them without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = load(NAME, seed=7).state_dict()
    url = models.get_model_weights(NAME).DEFAULT.url
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights, folder / url.rpartition("/")[2])
    return weights


def test_all_but_a_classifier_for_other_classes_is_taken(theirs: dict[str, torch.Tensor]) -> None:
    ours = load(NAME, 10, pretrained=True).state_dict()
    other = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert other == {"classifier.3.weight", "classifier.3.bias"}


def test_a_search_keeps_them_in_layers_as_they_are_and_carries_them_over_elsewhere(
    theirs: dict[str, torch.Tensor],
) -> None:
    task = Task(3, (32, 32), 10)
    space = find(f"backbone:{NAME}", task, pretrained=True)
    first = next(name for name, labels in space.catalogue().items() if "octave" in str(labels))
    network = build(space.decode({first: "octave", f"{first}.setting": "1"}), 3, 10)
    state = network.state_dict()
    kept = [name for name in state.keys() & theirs.keys() if "classifier.3" not in name]
    assert len(kept) > 200
    assert all(torch.equal(state[name], theirs[name]) for name in kept)
    paths = network.get_submodule(first).get_submodule("conv")
    halves = [part for part in paths.children() if isinstance(part, nn.Conv2d)]
    dense = theirs[f"{first}.weight"]
    blocks = sorted(float(part.weight.detach().abs().sum()) for part in halves)
    assert sum(blocks) == pytest.approx(float(dense.abs().sum()), rel=1e-5)


@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"PK\x03\x04"], ids=["empty", "text", "cut"]
)
@pytest.mark.usefixtures("theirs")
def test_a_damaged_file_of_weights_is_one_line(content: bytes, tmp_path: Path) -> None:
    (file,) = (tmp_path / "hub" / "checkpoints").iterdir()
    file.write_bytes(content)
    with pytest.raises(UnknownBackboneError, match=f"{NAME}: its weights cannot be had") as caught:
        load(NAME, 10, pretrained=True)
    assert "\n" not in str(caught.value)


def test_without_a_network_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(UnknownBackboneError) as caught:
        load(NAME, 10, pretrained=True)
    said, url = str(caught.value), models.get_model_weights(NAME).DEFAULT.url
    assert said.startswith(f"backbone {NAME}: its weights cannot be had from {url} (")
    assert said.endswith(
        f"; where there is no network, put that file into {tmp_path}/hub/checkpoints"
    )
    assert "\n" not in said
