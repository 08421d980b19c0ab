"""Keeps what was measured, so that a device is measured once."""

import hashlib
import importlib.metadata
import json
import os
from pathlib import Path

import nas_space
from searchers.latency.model import LatencyModel
from trainers.files import write_whole
from trainers.machine import processor

_FORMAT = 1
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def fingerprint() -> str:
    """What a latency of this machine depends on: processor, cores, threads, torch, networks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = [f"{name}={os.environ.get(name, '')}" for name in _THREADS]
    torch = importlib.metadata.version("torch")
    return "; ".join([processor(), f"{cores} cores", *threads, f"torch {torch}", _definitions()])


def _definitions() -> str:
    """A hash of the code that makes networks."""
    folder = Path(nas_space.__file__).parent
    text = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return f"networks {hashlib.sha256(text).hexdigest()[:12]}"


def place(folder: Path, *what: object) -> Path:
    """The file of a measurement, whatever else it depends on."""
    text = json.dumps([_FORMAT, fingerprint(), *map(str, what)])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def read(path: Path) -> LatencyModel | None:
    """What is kept there; None where nothing is, or nothing sound."""
    try:
        return LatencyModel.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(path: Path, model: LatencyModel) -> None:
    """Keep it, where the disk has room: without it the next search measures again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(model.to_json()).encode())
    except OSError:
        return
