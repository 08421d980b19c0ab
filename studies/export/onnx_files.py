"""The ONNX files of an export, each with the layers that are fastest in ONNX Runtime here."""

from dataclasses import dataclass, field

import torch

from nas_space.bundle import Bundle, int8
from nas_space.bundle.forms import onnx_model
from nas_space.inference import for_inference
from nas_space.waiting import waiting
from studies.export.int8 import Quantised, quantise
from studies.runtimes.in_onnxruntime import FLOAT32, INT8, OnnxRuntime
from trainers.data.splits import SearchData


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """Their contents.

    Attributes:
        model: in float32.
        quantised: in int8; None if that was not asked for.
        dense: of each file the layers in groups that are written as dense ones.
    """

    model: bytes
    quantised: Quantised | None = None
    dense: dict[str, list[str]] = field(default_factory=dict)

    @property
    def contents(self) -> dict[str, bytes]:
        """By the files' names."""
        small = {} if self.quantised is None else {int8.FILE: self.quantised.content}
        return {onnx_model.FILE: self.model} | small

    @property
    def small(self) -> bytes | None:
        """The file in int8."""
        return None if self.quantised is None else self.quantised.content


def written(
    bundle: Bundle, opset: int, data: SearchData, int8_loss: float | None, *, as_trained: bool
) -> OnnxFiles:
    """The files of a network.

    Args:
        bundle: of the network; nothing of its record is read.
        opset: version of the operators.
        data: gives the ranges of a network in int8.
        int8_loss: see `quantise`; None writes no int8.
        as_trained: whether convolutions in groups stay as they are, however slow.
    """
    model, dense = _written(bundle, opset, FLOAT32, as_trained=as_trained)
    if int8_loss is None:
        return OnnxFiles(model, None, {onnx_model.FILE: dense})
    basis, dense_in_int8 = _written(bundle, opset, INT8, as_trained=as_trained)
    made = quantise(model, basis, data, int8_loss)
    return OnnxFiles(model, made, {onnx_model.FILE: dense, int8.FILE: dense_in_int8})


def _written(
    bundle: Bundle, opset: int, runtime: OnnxRuntime, *, as_trained: bool
) -> tuple[bytes, list[str]]:
    network, dense = for_inference(bundle.network), list[str]()
    if not as_trained:
        with waiting("measuring which form of each layer is fastest"):
            images = torch.rand(1, *bundle.preprocessing.shape)
            network, dense = runtime.shipped(network, images)
    with waiting(f"writing {onnx_model.FILE}"):
        return bundle.onnx(opset, network), [name.removeprefix("network.") for name in dense]
