"""Seconds of networks in ONNX Runtime, for one image on one thread.

    uv run python -m benchmarks.worth.runtime FILE.onnx

prints those of a file: what `--latency-command` asks for.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

from nas_space.costs.cost import Task
from nas_space.spaces.architecture import Architecture
from searchers.latency.exporting import export

Call = Callable[[], object]

_CALLS = 200
"""Images a round."""
_ROUNDS = 15


def opened(file: Path) -> Call:
    """One answer of an ONNX file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options)
    images = session.get_inputs()[0]
    return partial(session.run, None, {images.name: np.zeros(images.shape, np.float32)})


def calls(networks: Sequence[Architecture], task: Task, folder: Path) -> list[Call]:
    """One answer of each network, as it is shipped; its file lies in the folder."""
    return [opened(file) for file in export(networks, task, 1, folder, lambda _line: None)]


def seconds(each: Sequence[Call], rounds: int = _ROUNDS) -> list[float]:
    """Seconds of each call: medians of rounds in which all take turns."""
    taken = [[_round(call) for call in each] for _ in range(rounds)]
    return [median(column) for column in zip(*taken, strict=True)]


def _round(call: Call) -> float:
    start = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - start) / _CALLS


if __name__ == "__main__":
    print(*seconds([opened(Path(sys.argv[1]))]))
