"""A new convolution type is one new file: everything else takes it up unasked."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGE = (ROOT / "docs/space.md").read_text(encoding="utf-8")
DILATED = next(part for part in PAGE.split("```python\n") if "class Dilated" in part).split("```")[
    0
]

HALVED = '''
"""A type of a user's own whose module is none of torch's."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Halved(Conv):
    """A dense convolution whose output is halved."""

    kind: ClassVar[str] = "halved"
    paper: ClassVar[str] = "nobody, 2026"

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:
        return (cls(),)

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        from nas_space.layers import halved

        return halved.Halved

    def params(self, c_in: int, c_out: int) -> int:
        return self.kernel**2 * c_in * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        return self.params(c_in, c_out) * area(out_size(size, stride))
'''

HALVED_LAYER = '''
"""A dense convolution whose output is halved."""

import math

from torch import Tensor, nn

HALF = math.cos(math.pi / 3)


class Halved(nn.Module):
    """A dense convolution, times one half."""

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return HALF * self.conv(x)
'''

USE = """
from nas_space.spaces.skeletons import read_architecture
from nas_space.spaces.registry import get
old = read_architecture(open("old.json").read())
assert old == get("mixed").decode(get("mixed").encode(old))
assert "dilated" in get("mixed").kinds
chosen = get("dilated").decode({"stage1.width": "8", "stage1.block1.conv1.setting": "2"})
assert "dilated(rate=3)" in str(chosen)
assert read_architecture(chosen.text) == chosen
from nas_space.bundle import Preprocessing
from nas_space.bundle.source import source
text = source(chosen, Preprocessing((1, 8, 8), (0.5,), (0.5,), ("a", "b")))
assert "nn.Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), padding=(3, 3), dilation=(3, 3)" in text
assert "- dilated: Yu and Koltun, arXiv 1511.07122" in text
halved = get("halved").decode({"stage1.width": "8"})
text = source(halved, Preprocessing((1, 8, 8), (0.5,), (0.5,), ("a", "b")))
assert "HALF = math.cos(math.pi / 3)" in text
assert "Halved(8, 8)" in text
"""


@pytest.mark.slow
def test_one_file_adds_a_type_to_spaces_json_exports_and_the_common_suite(tmp_path: Path) -> None:
    for folder in ("nas_space", "tests/nas_space"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__py*"))
    (tmp_path / "nas_space/convs/dilated.py").write_text(DILATED)
    (tmp_path / "nas_space/convs/halved.py").write_text(HALVED)
    (tmp_path / "nas_space/layers/halved.py").write_text(HALVED_LAYER)
    old = (
        '{"format":1,"skeleton":"residual","stem":"regular","stages":['
        '{"width":16,"blocks":[["igc(L=4,M=4)","xception"]]},'
        '{"width":32,"blocks":[["octave(alpha=0.5)","regular"]]},'
        '{"width":64,"blocks":[["deep_roots(groups=2)","regular"]]}]}'
    )
    (tmp_path / "old.json").write_text(old)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-c", USE)
    suite = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/nas_space/test_convs.py")
    for kind in ("dilated or Dilated", "halved"):
        printed = run(*suite, "-k", kind, "--import-mode=importlib")
        assert " passed" in printed
    assert "dilated" in run("-m", "nas_space.spaces")
