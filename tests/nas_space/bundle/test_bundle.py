"""Exported networks: the same outputs when read back, and damage refused in one line."""

import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nas_space.architecture import InvalidArchitectureError
from nas_space.bundle import Bundle, BundleError, Preprocessing, prepare
from nas_space.network import build
from nas_space.spaces import get, spaces

TASK = Preprocessing((3, 8, 8), (0.4, 0.5, 0.6), (0.2, 0.2, 0.3), ("cat", "dog", "bird"))


def made(space: str = "mixed") -> Bundle:
    architecture = get(space).decode({"stage1.block1.conv1.setting": "1"})
    network = build(architecture, 3, 3, seed=1)
    network(torch.randn(8, 3, 8, 8))  # moves BatchNorm's statistics off their start
    return Bundle.assemble(architecture, TASK, network.state_dict())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made().write(tmp_path / "out", "card")
    return tmp_path / "out"


@pytest.mark.parametrize("space", spaces())
def test_a_network_of_every_type_gives_the_same_outputs_when_read_back(
    space: str, tmp_path: Path
) -> None:
    bundle = made(space)
    bundle.write(tmp_path / "out", "the card")
    again = Bundle.read(tmp_path / "out")
    assert again.architecture == bundle.architecture
    assert again.preprocessing == bundle.preprocessing
    assert not any(module.training for module in again.network.modules())
    for count in (1, 7):
        images = torch.rand(count, 3, 8, 8)
        assert torch.equal(again.network(images), bundle.network(images))
    assert (tmp_path / "out" / "README.md").read_text() == "the card"


def test_it_normalises_its_input_itself() -> None:
    bundle = made()
    images = torch.rand(2, 3, 8, 8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (TASK.mean, TASK.std))
    plain = bundle.network.network((images - mean) / std)
    assert torch.allclose(bundle.network(images), plain, atol=1e-6)


def test_its_files_can_be_read_by_others_and_nothing_else_is_left(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    assert all(path.stat().st_mode & stat.S_IROTH for path in folder.iterdir())


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch hacked",)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "weights missing": lambda folder: (folder / "weights.safetensors").unlink(),
    "weights cut off": lambda folder: os.truncate(folder / "weights.safetensors", 1000),
    "weights of another network": lambda folder: save_file(
        {"x": torch.zeros(1)}, folder / "weights.safetensors"
    ),
    "weights a hostile pickle": lambda folder: (folder / "weights.safetensors").write_bytes(
        pickle.dumps(Hostile())
    ),
    "architecture missing": lambda folder: (folder / "architecture.json").unlink(),
    "architecture no JSON": lambda folder: (folder / "architecture.json").write_text("{"),
    "architecture no text": lambda folder: (folder / "architecture.json").write_bytes(b"\xff\xfe"),
    "architecture another": lambda folder: (folder / "architecture.json").write_text(
        json.dumps(get("mixed").decode({"stage1.width": "16"}).to_json())
    ),
    "task missing": lambda folder: (folder / "task.json").unlink(),
    "task no JSON": lambda folder: (folder / "task.json").write_text("[" * 100_000),
    "task incomplete": lambda folder: (folder / "task.json").write_text('{"shape": [3, 8, 8]}'),
    "task inconsistent": lambda folder: (folder / "task.json").write_text(
        '{"shape": [3, 8, 8], "mean": [0], "std": [1], "classes": ["a", "b", "c"]}'
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line_and_executes_nothing(
    folder: Path, damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(folder)
    monkeypatch.chdir(folder.parent)
    with pytest.raises((BundleError, InvalidArchitectureError)) as caught:
        Bundle.read(folder)
    assert "\n" not in str(caught.value)
    assert not Path("hacked").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file" / "out", tmp_path / ("x" * 300)):
        with pytest.raises(BundleError, match="cannot write"):
            prepare(folder)
        with pytest.raises(BundleError, match="cannot write"):
            made().write(folder, "card")


def test_a_folder_that_is_there_already_is_left_alone(folder: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        prepare(folder)
