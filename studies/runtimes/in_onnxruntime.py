"""ONNX Runtime on the CPU, in float32 and in int8."""

import importlib.metadata
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nas_space.bundle.forms import onnx_model
from nas_space.bundle.int8 import prepared, static
from nas_space.opsets import OPSET
from studies.runtimes import Call

if TYPE_CHECKING:
    from onnx import ModelProto

_TOGETHER = 60
"""Modules that are written as one graph, which takes a fraction of the time of one each."""


class _Together(nn.Module):
    """Modules side by side, each with an input and an output of its own."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map each input by its module."""
        return tuple(module(x) for module, x in zip(self.each, inputs, strict=True))


class _OnnxRuntime:
    needs = "onnx"

    def __init__(self, *, int8: bool) -> None:
        self._int8 = int8

    def version(self) -> str:
        numbers = "int8" if self._int8 else "fp32"
        return f"onnxruntime {importlib.metadata.version('onnxruntime')}, {numbers}"

    def usual_threads(self, _side: int) -> int:
        return 1

    def prepared(
        self, modules: Sequence[nn.Module], inputs: Sequence[Tensor], threads: int
    ) -> list[Call]:
        starts = range(0, len(modules), _TOGETHER)
        spans = [slice(start, start + _TOGETHER) for start in starts]
        return [call for span in spans for call in self._some(modules[span], inputs[span], threads)]

    def _some(
        self, modules: Sequence[nn.Module], inputs: Sequence[Tensor], threads: int
    ) -> Iterator[Call]:
        names = [(f"x{at}", f"y{at}") for at in range(len(modules))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about itself
            program = onnx_model.converted(
                _Together(modules).eval(), *inputs, opset=OPSET, names=names
            )
        model: bytes = program.model_proto.SerializeToString()
        if self._int8:
            # Random ones: the ranges of maps change no time.
            some = {name: x.numpy() for (name, _), x in zip(names, inputs, strict=True)}
            model = static(prepared(model), iter([some]))
        yield from (_call(one, threads) for one in _apart(model, names))


def _apart(model: bytes, names: Sequence[tuple[str, str]]) -> Iterator["ModelProto"]:
    """Each part of a graph, from one input to one output.

    In int8 a part takes and gives int8, as it does inside of a network.
    """
    import onnx  # noqa: PLC0415 - half a second
    from onnx.utils import Extractor  # noqa: PLC0415

    whole = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    nodes = whole.graph.node
    quantises = {node.input[0]: node.output[0] for node in nodes if node.op_type == _QUANTISES}
    dequantises = {node.output[0]: node.input[0] for node in nodes if node.op_type == _DEQUANTISES}
    cutter = Extractor(whole)
    for given, made in names:
        yield cutter.extract_model([quantises.get(given, given)], [dequantises.get(made, made)])


_QUANTISES, _DEQUANTISES = "QuantizeLinear", "DequantizeLinear"


def _call(model: "ModelProto", threads: int) -> Call:
    import numpy as np  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (images,) = session.get_inputs()
    kind = np.float32 if images.type == "tensor(float)" else np.uint8
    return partial(session.run, None, {images.name: np.ones(images.shape, kind)})


FLOAT32, INT8 = _OnnxRuntime(int8=False), _OnnxRuntime(int8=True)
