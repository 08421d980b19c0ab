"""Keeps measured latencies, so that each device is measured once."""

import ast
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable
from pathlib import Path

import nas_space
from searchers.latency.model import LatencyModel
from trainers.files import write_whole
from trainers.machine import cores, processor

_FORMAT = 1
_RUNTIMES = ("torch", "onnx", "onnxruntime", "onnxscript")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def fingerprint() -> str:
    """What a latency of this machine depends on: processor, cores, threads, runtimes, networks."""
    threads = [f"{name}={os.environ.get(name, '')}" for name in _THREADS]
    runtimes = (f"{name} {_version(name)}" for name in _RUNTIMES)
    return "; ".join([processor(), f"{cores()} cores", *threads, *runtimes, _definitions()])


def _version(package: str) -> str:
    """Of an installed package; empty if it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


_TIMED = (
    "nas_space/convs",
    "nas_space/layers",
    "nas_space/bundle/forms/onnx_model.py",
    "nas_space/bundle/int8.py",
    "nas_space/inference",
    "nas_space/opsets.py",
    "nas_space/spaces/residual/building.py",
    "nas_space/spaces/residual/network.py",
    "nas_space/weights.py",
    "searchers/latency/exporting.py",
    "searchers/latency/fitting.py",
    "searchers/latency/measuring.py",
    "searchers/latency/obtaining.py",
    "searchers/latency/parts.py",
    "searchers/latency/sampling.py",
    "studies/runtimes",
    "trainers/latency.py",
)
"""The code that decides which operations are timed, and how."""


def _definitions() -> str:
    """A hash of the code that makes and times networks, without comments and docstrings."""
    folder = Path(nas_space.__file__).parents[1]
    files = [found for part in _TIMED for found in _python_files(folder / part)]
    texts = (_without_prose(path.read_text(encoding="utf-8")) for path in sorted(files))
    return f"networks {hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:12]}"


def _python_files(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else [path]


def _without_prose(text: str) -> str:
    """A Python file's syntax, without comments and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_prose(part)]
    return ast.dump(tree)


def _is_prose(part: ast.stmt) -> bool:
    """Whether a statement is a docstring, or another text that nothing uses."""
    return (
        isinstance(part, ast.Expr)
        and isinstance(part.value, ast.Constant)
        and isinstance(part.value.value, str)
    )


def place(folder: Path, *what: object) -> Path:
    """The file of a measurement; `what` says what else it depends on."""
    text = json.dumps([_FORMAT, fingerprint(), *map(str, what)])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def read(path: Path) -> LatencyModel | None:
    """The model in a file; None if there is no file, or it is damaged."""
    try:
        return LatencyModel.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(path: Path, model: LatencyModel) -> None:
    """Write the model, unless the disk is full: then the next search measures again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(model.to_json()).encode())
    except OSError:
        return
