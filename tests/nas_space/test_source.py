"""What an export carries of a layer: the text of its class, and all that it needs."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nas_space.errors import InvalidChoiceError
from nas_space.layers.source import definitions

HEAD = "import torch\nfrom torch import Tensor, nn\nfrom torch.nn import functional as F\n"
LAYER = """
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return {}
"""


def module(text: str, path: Path) -> ModuleType:
    """A file of a user, imported."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


def shipped(body: str, before: str, tmp_path: Path) -> str:
    layer = module(HEAD + before + LAYER.format(body), tmp_path / "users_layer.py").Layer
    found = definitions(layer)
    text = "\n".join([HEAD, *found.imports, *found.parts.values()])
    namespace: dict[str, object] = {}
    exec(compile(text, "shipped", "exec"), namespace)  # noqa: S102 - what is tested
    torch, made = namespace["torch"], namespace["Layer"]
    made()(torch.ones(1))  # type: ignore[operator, attr-defined]
    return text


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ("import math\n", "x * math.pi"),
        ("import os.path\n", "x * len(os.path.sep)"),
        ("import math as m\n", "x * m.pi"),
        ("from math import pi as p\n", "x * p"),
        ("def half(x):\n    return x / TWO\n\nTWO = 2\n", "half(x)"),
        ("TWO = 2\nprint('not shipped')\n", "x * TWO"),
        ("TWO, HALF = 2, 0.5\n", "x * TWO * HALF"),
        ("if True:\n    TWO = 2\nelse:\n    TWO = 3\n", "x * TWO"),
        ("class Base(nn.Module):\n    pass\n", "x * len(Base.__name__)"),
    ],
)
def test_what_the_class_uses_of_its_file_comes_along(
    before: str, body: str, tmp_path: Path
) -> None:
    assert "not shipped" not in shipped(body, before, tmp_path)


def test_what_it_does_not_use_stays(tmp_path: Path) -> None:
    assert "unused" not in shipped("x", "def unused():\n    pass\n", tmp_path)


@pytest.mark.parametrize("line", ["import numpy\n", "from numpy import pi\n"])
def test_what_is_neither_torchs_nor_the_standard_librarys_is_one_line(
    line: str, tmp_path: Path
) -> None:
    name = line.rsplit(maxsplit=1)[-1]
    with pytest.raises(InvalidChoiceError, match=f"its file uses {name} of numpy"):
        shipped(f"x * len(str({name}))", line, tmp_path)


def test_a_class_without_a_file_is_one_line() -> None:
    layer = type("Layer", (), {"__module__": "__main__"})
    with pytest.raises(InvalidChoiceError, match="its Python file is not there to be read"):
        definitions(layer)
