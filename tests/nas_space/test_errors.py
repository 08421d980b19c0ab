"""Every refusal has one base, and every command turns it into one line in one place."""

import ast
import importlib
from pathlib import Path

import pytest

from nas_space.cli import run
from nas_space.errors import ConvnasError
from tests.refusals import refusal
from trainers.training import TrainingDivergedError

ROOT = Path(__file__).parents[2]
PACKAGES = ("nas_space", "trainers", "studies", "searchers")


def _errors() -> dict[str, type[Exception]]:
    """The exception classes of our packages, by their full names.

    Ruff (N818) sees to it that their names end in Error. Only the files that define one are
    imported: some files are for processes of their own.
    """
    found = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                module = module.removesuffix(".__init__")
                found[f"{module}.{node.name}"] = getattr(importlib.import_module(module), node.name)
    return found


ERRORS = _errors()
REFUSALS = {name: error for name, error in ERRORS.items() if issubclass(error, ValueError)}


def test_the_walk_finds_our_errors() -> None:
    assert len(REFUSALS) > 20
    assert "nas_space.errors.ConvnasError" in REFUSALS
    assert "trainers.training.TrainingDivergedError" in ERRORS


def test_every_refusal_of_ours_has_the_one_base() -> None:
    assert [name for name, error in REFUSALS.items() if not issubclass(error, ConvnasError)] == []


def test_a_training_that_diverges_is_a_trial_that_fails_not_a_refusal() -> None:
    assert not issubclass(TrainingDivergedError, ConvnasError)
    others = ERRORS.keys() - REFUSALS.keys()
    assert others == {"trainers.training.TrainingDivergedError"}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_command_says_any_refusal_in_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> int:
        raise REFUSALS[name]("what is wrong\nand the cure")

    said = refusal(lambda: run(command), capsys)
    assert said == "error: what is wrong\\nand the cure\n"


@pytest.mark.parametrize("error", [ValueError, TypeError, TrainingDivergedError])
def test_a_fault_of_ours_keeps_its_traceback(error: type[Exception]) -> None:
    def command() -> int:
        raise error("a fault")

    with pytest.raises(error, match="a fault"):
        run(command)


def test_the_base_imports_nothing() -> None:
    tree = ast.parse((ROOT / "nas_space/errors.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
