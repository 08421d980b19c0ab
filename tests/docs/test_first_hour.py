"""A new user's first hour: the tutorial, from an installed wheel, in 80 columns."""

import os
import shlex
import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, commands, scripts
from tests.docs.test_pages import photos, shorter
from tests.terminal import shown

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TUTORIAL = DOCS / "tutorial.md"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with convnas installed from a wheel, and the libraries of ours."""
    place = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    installing = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", str(python)]
    installing.append(str(ROOT))
    subprocess.run(installing, check=True)
    (own,) = place.glob("lib/python*/site-packages")
    # What lies there comes behind what is installed here.
    (own / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return place


def test_it_is_the_wheel_that_runs(bare: Path, tmp_path: Path) -> None:
    code = "import nas_space, studies; print(nas_space.__file__); print(studies.__file__)"
    told = subprocess.run(
        [bare / "bin" / "python", "-c", code],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(line.startswith(str(bare)) for line in told.stdout.splitlines())


def test_the_tutorial_runs_in_80_columns(bare: Path, tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    folder = tmp_path / "work"
    folder.mkdir()
    own = {
        "HOME": str(tmp_path),
        "PATH": f"{bare / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
    }
    typed = commands(TUTORIAL)
    assert len(typed) >= 6
    for line in map(shorter, typed):
        program, *words = shlex.split(line.replace("~", str(tmp_path)))
        assert program == "convnas"
        told = shown(80, [str(bare / "bin" / program), *words], folder, own)
        assert "python -m" not in told, "commands are spelt as they were started"
        wide = [row for row in told.splitlines() if len(row.rstrip()) > 80 and "│" in row]
        assert not wide, "a table is wider than the terminal"
    for script in scripts(TUTORIAL):
        done = subprocess.run(
            [bare / "bin" / "python", "-c", script],
            cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
