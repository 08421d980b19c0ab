"""ONNX Runtime on the CPU, in float32 and in int8."""

import importlib.metadata
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nas_space.bundle.forms import onnx_model
from nas_space.bundle.int8 import prepared, static
from nas_space.inference.dense import Choice, with_dense
from nas_space.opsets import OPSET
from studies.runtimes import Call
from trainers.latency import in_turns

if TYPE_CHECKING:
    from onnx import ModelProto

_MODULES_TOGETHER = 150
"""Modules, with those inside of them, that are written as one graph. A graph takes a second,
however small; the time of large ones grows faster than their size."""

_SECONDS = 0.04
"""To measure a layer: some hundred runs of most."""


class _Together(nn.Module):
    """Modules side by side, each with an input and an output of its own."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map each input by its module."""
        return tuple(module(x) for module, x in zip(self.each, inputs, strict=True))


class OnnxRuntime:
    """It, with numbers of one kind."""

    needs = "onnx"

    def __init__(self, *, int8: bool) -> None:
        self._int8 = int8

    def version(self) -> str:
        """See `studies.runtimes.Runtime`."""
        numbers = "int8" if self._int8 else "fp32"
        return f"onnxruntime {importlib.metadata.version('onnxruntime')}, {numbers}"

    def usual_threads(self, _side: int) -> int:
        """See `studies.runtimes.Runtime`."""
        return 1

    def prepared(
        self,
        modules: Sequence[nn.Module],
        inputs: Sequence[Tensor],
        threads: int,
        *,
        inside: bool = False,
        as_trained: bool = False,
    ) -> list[Call]:
        """See `studies.runtimes.Runtime`."""
        if not as_trained:
            modules, _ = self.fastest(modules, inputs, threads)
        return self.calls(modules, inputs, threads, inside=inside)

    def fastest(
        self, modules: Sequence[nn.Module], inputs: Sequence[Tensor], threads: int
    ) -> tuple[list[nn.Module], list[list[str]]]:
        """The modules with convolutions in groups as dense ones where these are faster here.

        Returns:
            The modules, and of each the names of the layers that are dense now.
        """
        return with_dense(modules, inputs, lambda choices: self._pay(choices, threads))

    def shipped(self, module: nn.Module, images: Tensor) -> tuple[nn.Module, list[str]]:
        """The faster one of a network and its form with dense layers, and the names of those.

        Each layer alone may be faster while all of them together are not.

        Args:
            module: such as `nas_space.inference.for_inference` makes.
            images: that it takes.
        """
        (dense,), (names,) = self.fastest([module], [images], 1)
        if not names:
            return module, []
        before, after = in_turns(self.calls([module, dense], [images, images], 1))
        return (dense, names) if after.median < before.median else (module, [])

    def _pay(self, choices: Sequence[Choice], threads: int) -> list[bool]:
        """Whether the dense form of each choice takes clearly less time."""
        images = [choice.images for choice in choices]
        forms = [choice.parts for choice in choices], [choice.dense() for choice in choices]
        as_is, dense = (self.calls(form, images, threads, inside=True) for form in forms)
        pairs = (in_turns(pair, seconds=_SECONDS) for pair in zip(as_is, dense, strict=True))
        return [after.quartiles[1] < before.quartiles[0] for before, after in pairs]

    def calls(
        self,
        modules: Sequence[nn.Module],
        inputs: Sequence[Tensor],
        threads: int,
        *,
        inside: bool = False,
    ) -> list[Call]:
        """Like `prepared`, of the modules with their layers as they are."""
        spans = _spans([sum(1 for _ in module.modules()) for module in modules])
        some = (self._some(modules[span], inputs[span], inside=inside) for span in spans)
        return [_call(model, threads) for models in some for model in models]

    def _some(
        self, modules: Sequence[nn.Module], inputs: Sequence[Tensor], *, inside: bool
    ) -> Iterator["ModelProto"]:
        names = [(f"x{at}", f"y{at}") for at in range(len(modules))]
        inputs = [x.clone() for x in inputs]  # a tensor that is given twice is one input to torch
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
        yield from _apart(model, names, inside=inside)


def _spans(sizes: Sequence[int]) -> Iterator[slice]:
    """Neighbours that together are about as many as go into one graph."""
    start = total = 0
    for at, size in enumerate(sizes):
        if total and total + size > _MODULES_TOGETHER:
            yield slice(start, at)
            start, total = at, 0
        total += size
    yield slice(start, len(sizes))


def _apart(
    model: bytes, names: Sequence[tuple[str, str]], *, inside: bool
) -> Iterator["ModelProto"]:
    """Each part of a graph, from one input to one output.

    In int8 a part that is inside of a network takes and gives int8.
    """
    import onnx  # noqa: PLC0415 - half a second
    from onnx.utils import Extractor  # noqa: PLC0415

    whole = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    nodes = whole.graph.node
    if not inside:
        nodes = []
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


FLOAT32, INT8 = OnnxRuntime(int8=False), OnnxRuntime(int8=True)
