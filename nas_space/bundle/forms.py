"""The forms of a network for those who run no Python of ours: a `torch.export` program and ONNX."""

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from nas_space.bundle.preprocessing import Preprocessing

MODEL, PROGRAM, ONNX = "model.py", "program.pt2", "model.onnx"


def write_forms(folder: Path, network: nn.Module, preprocessing: Preprocessing, task: str) -> None:
    """Write both into a folder.

    They take images (N, C, H, W) of any N, 0 to 1, and give logits (N, classes). Both hold the
    task (input size, normalisation, names of the classes) as JSON text: the program as the extra
    file ``task.json``, ONNX as the metadata property ``task``.

    Args:
        folder: where.
        network: such as `nas_space.inference.for_inference` makes, from images to logits.
        preprocessing: of the images.
        task: that text.

    Raises:
        OSError: a file cannot be written.
    """
    images = torch.zeros(2, *preprocessing.shape)
    shapes = {"images": {0: Dim("batch", min=1)}}
    program = torch.export.export(network, (images,), dynamic_shapes=shapes)
    _forget_this_machine(program)
    written = io.BytesIO()
    torch.export.save(program, written, extra_files={"task.json": task})
    (folder / PROGRAM).write_bytes(written.getvalue())
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["logits"],
    )
    assert exported is not None  # noqa: S101 - only the old exporter gives nothing
    exported.model.metadata_props["task"] = task
    (folder / ONNX).write_bytes(exported.model_proto.SerializeToString())


def imported(path: Path) -> ModuleType:
    """The file that was just written, as a module that nobody else finds."""
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None  # noqa: S101 - it is a file with Python's suffix
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _forget_this_machine(program: ExportedProgram) -> None:
    """Drop the lines of code that torch notes with every operation: their paths are ours."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
