"""The file `model.py` of an export: its name, and how it is imported."""

import importlib.util
from pathlib import Path
from types import ModuleType

MODEL = "model.py"


def imported(path: Path) -> ModuleType:
    """The file that was just written, as a module that nobody else finds."""
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None  # noqa: S101 - it is a file with Python's suffix
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
