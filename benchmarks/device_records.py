"""What TensorFlow Lite Micro keeps of networks in int8, beside what is counted: docs/devices.md.

It needs an environment of its own, because litert-torch wants another torch:

    uv venv lite --python 3.11
    uv pip install --python lite/bin/python litert-torch tflite-micro ai-edge-quantizer rich
    PYTHONPATH=. lite/bin/python benchmarks/device_records.py --networks 14 --seed 5
"""

import argparse
import contextlib
import io
import os
import random
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from tflite_micro import runtime

from nas_space.costs.cost import Task, predict
from nas_space.spaces.architecture import Architecture
from nas_space.spaces.building import build
from nas_space.spaces.registry import get

TASK = Task(3, (32, 32), 10)
ARENA_BYTES = 2**24


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=14)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    for architecture in networks(given.networks, given.seed):
        print(line(architecture), flush=True)


def networks(count: int, seed: int) -> Iterator[Architecture]:
    """ResNet-20, then random ones."""
    space, chance = get("mixed"), random.Random(seed)
    yield space.reference()
    for _ in range(count):
        yield space.decode({p.name: chance.choice(p.labels) for p in space.parameters})


def line(architecture: Architecture) -> str:
    """What is kept of a network beside what is counted."""
    cost = predict(architecture, TASK)
    peak, tally = (cost.activation_memory or 0) // 4, cost.tally
    if tally is None:
        raise TypeError(f"{architecture} has a type that says no operations")
    with tempfile.TemporaryDirectory() as folder:
        data = in_int8(architecture, Path(folder))
    maps, records = arena(data)
    kept = (records - 8 * tally.channels) / tally.operations
    file = (len(data) - tally.weights - 28 * tally.channels) / tally.operations
    return (
        f"maps {maps:,} bytes, {maps / peak:.2f} of the {peak:,} counted; records {kept:.0f} and "
        f"file {file:.0f} bytes an operation: {tally.operations} operations, {tally.channels} "
        f"channels: {str(architecture)[:40]}"
    )


def in_int8(architecture: Architecture, folder: Path) -> bytes:
    """A file of TensorFlow Lite whose weights lie inside the flatbuffer."""
    network = build(architecture, TASK.channels, TASK.classes).eval()
    shape = (1, TASK.channels, *TASK.size)
    path, small = str(folder / "fp32.tflite"), str(folder / "int8.tflite")
    with contextlib.redirect_stdout(io.StringIO()):
        litert_torch.convert(network, (torch.zeros(shape),)).export(path)
        found = quantizer.Quantizer(path, recipe.static_wi8_ai8())
        ((name, signature),) = Interpreter(path).get_signature_list().items()
        chance = np.random.default_rng(0)
        images = [chance.random(shape, dtype=np.float32) for _ in range(4)]
        ranges = found.calibrate({name: [{signature["inputs"][0]: each} for each in images]})
        found.quantize(ranges).export_model(small, overwrite=True)
    return inside(Path(small).read_bytes())


def inside(data: bytes) -> bytes:
    """The same file with its weights inside: TensorFlow Lite Micro takes others for maps."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset).copy()
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def arena(data: bytes) -> tuple[int, int]:
    """Bytes of the arena for maps, and for all else, as its allocator prints them."""
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
    with tempfile.TemporaryFile() as kept:
        # It prints from C, on the standard error or output of the process.
        saved = [os.dup(stream) for stream in (1, 2)]
        for stream in (1, 2):
            os.dup2(kept.fileno(), stream)
        interpreter.print_allocations()
        for stream, before in zip((1, 2), saved, strict=True):
            os.dup2(before, stream)
            os.close(before)
        kept.seek(0)
        said = kept.read().decode()
    head, tail = (
        int(re.findall(rf"allocation {part} (\d+)", said)[0]) for part in ("head", "tail")
    )
    return head, tail


if __name__ == "__main__":
    main()
