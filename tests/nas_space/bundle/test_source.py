"""The written-out network: it reads as if written by hand, and is the network that we build."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_space.bundle import Classifier, Preprocessing
from nas_space.bundle.source import source
from nas_space.bundle.weights import write_weights
from nas_space.convs import TYPES
from nas_space.spaces.building import build
from nas_space.spaces.registry import get, spaces
from nas_space.spaces.residual import ResidualArchitecture
from tests.model_files import imported

TASK = Preprocessing((3, 9, 8), (0.4, 0.5, 0.6), (0.2, 0.2, 0.3), ("cat", 'd"og', "bi'rd", "ねこ"))
ROOT = Path(__file__).parents[3]


def deep(space: str) -> ResidualArchitecture:
    """The deepest, narrowest network of a space, every layer of another setting."""
    labels = {}
    for number, parameter in enumerate(get(space).parameters):
        labels[parameter.name] = parameter.labels[number % len(parameter.labels)]
    return get(space).decode(labels | {f"stage{s}.depth": "3" for s in (1, 2, 3)})


@pytest.mark.parametrize("space", spaces())
def test_it_has_our_names_and_gives_our_outputs(space: str, tmp_path: Path) -> None:
    architecture = deep(space)
    network = build(architecture, 3, 4, seed=1)
    network(torch.randn(8, 3, 9, 8))
    (tmp_path / "model.py").write_text(source(architecture, TASK), encoding="utf-8")
    write_weights(tmp_path / "weights.safetensors", network.state_dict())
    module = imported(tmp_path / "model.py")
    plain = module.load()
    assert plain.state_dict().keys() == network.state_dict().keys()
    assert not plain.training
    ours = Classifier(network, TASK).eval()
    for count in (1, 7):
        images = torch.rand(count, 3, 9, 8)
        assert torch.allclose(plain(images), ours(images), atol=1e-5)
    assert TASK.shape == module.INPUT_SIZE
    assert (TASK.mean, TASK.std, TASK.classes) == (module.MEAN, module.STD, module.CLASSES)


@pytest.mark.parametrize("space", spaces())
def test_it_is_formatted_short_lined_and_names_its_papers(space: str, tmp_path: Path) -> None:
    text = source(deep(space), TASK)
    (tmp_path / "model.py").write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "100", str(tmp_path / "model.py")]
    for command in (["format", "--check"], ["check", "--select", "E,F"]):
        done = subprocess.run(
            [*ruff, *command, *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
    used = {type(layer.conv) for layer in deep(space).layers()}
    for kind in TYPES.all().values():
        assert (kind.paper in text) == (kind in used)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_names_of_classes_are_text_and_nothing_else(names: list[str]) -> None:
    task = Preprocessing((1, 8, 8), (0.5,), (0.5,), tuple(names))
    tree = ast.parse(source(get("regular").decode({}), task))
    (found,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLASSES"
    ]
    assert found == tuple(names)
