"""A network as ONNX; it holds the task as the metadata property ``task``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

if TYPE_CHECKING:
    from onnx_ir import Graph

FILE = "model.onnx"


def write(exported: ExportedProgram, task: str, opset: int) -> bytes:
    """See `nas_space.bundle.forms.ExportForm`."""
    found = converted(exported, opset=opset, batch={"images": {0: "batch"}})
    found.model.metadata_props["task"] = task
    data: bytes = found.model_proto.SerializeToString()
    return data


def converted(
    network: ExportedProgram | nn.Module,
    *images: Tensor,
    opset: int,
    batch: dict[str, dict[int, str]] | None = None,
    names: Sequence[tuple[str, str]] = (("images", "logits"),),
) -> torch.onnx.ONNXProgram:
    """A network as ONNX.

    Args:
        network: with images of the size that it takes, if it is a module.
        images: see there.
        opset: version of the operators.
        batch: names of the axes of any length, by input and axis.
        names: of each input and of the output beside it.
    """
    from onnx.helper import find_min_ir_version_for, make_opsetid  # noqa: PLC0415 - half a second

    found = torch.onnx.export(
        network,
        images,
        dynamo=True,
        verbose=False,
        input_names=[given for given, _ in names],
        output_names=[made for _, made in names],
        opset_version=opset,
        dynamic_shapes=batch,
    )
    assert found is not None  # noqa: S101 - only the old exporter gives nothing
    _round_no_pool_up(found.model.graph)
    # torch writes a newer one, which older runtimes refuse.
    found.model.ir_version = find_min_ir_version_for([make_opsetid("", opset)])
    return found


def _round_no_pool_up(graph: "Graph") -> None:
    """Say of average pools whose windows fit exactly that they do not round up.

    The outputs are the same. ONNX Runtime pools in the layout of its convolutions only then: an
    Oct-ResNet-50 takes four fifths of the time (docs/results/latency.md).
    """
    from onnx_ir import AttrInt64  # noqa: PLC0415 - half a second

    for node in graph:
        shape = node.inputs[0].shape if node.op_type == "AveragePool" and node.inputs[0] else None
        if shape is None or any(node.attributes["pads"].as_ints()):
            continue
        windows = node.attributes["kernel_shape"].as_ints()
        steps = node.attributes["strides"].as_ints()
        sizes = zip(list(shape)[-len(windows) :], windows, steps, strict=True)
        if all(isinstance(size, int) and (size - k) % s == 0 for size, k, s in sizes):
            node.attributes["ceil_mode"] = AttrInt64("ceil_mode", 0)


def opened(path: Path | bytes) -> Callable[[Tensor], Tensor]:
    """See `nas_space.bundle.forms.ExportForm`; also of a file's content. It uses one thread."""
    # Imported here: only opening an export needs them.
    import numpy as np  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    # A few images are no work for many threads, which would wait for each other.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    return lambda images: torch.from_numpy(
        np.asarray(session.run(None, {"images": images.numpy()})[0])
    )
