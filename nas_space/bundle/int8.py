"""A network in int8 for ONNX Runtime: static, a scale for each channel of a weight, as QDQ.

Convolutions, sums, pools, joins and shuffles take and give int8. The ranges of the maps come from
images that the caller gives.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas_space.scratch import scratch

if TYPE_CHECKING:
    from onnx import ModelProto

FILE = "model.int8.onnx"
_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
_AT_ONCE = 32
"""Images of a batch that ranges are taken of."""

Pixels = NDArray[np.float32]
"""Images (N, C, H, W), 0 to 1."""


def prepared(model: bytes) -> bytes:
    """An ONNX file's content with the shapes of all maps, as `quantised` takes it."""
    # Imported here: half a second, which an export in int8 alone needs.
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with scratch("convnas-") as place:
        given, found = place / "model.onnx", place / FILE
        given.write_bytes(model)
        # Symbolic inference is for transformers: an octave convolution's resizing stops it.
        quant_pre_process(given, found, skip_symbolic_shape=True)
        return found.read_bytes()


def layers(model: bytes) -> dict[str, str]:
    """The layers that have weights, in their order: name of the weight to name of the node."""
    import onnx  # noqa: PLC0415 - see `prepared`

    graph = onnx.load_from_string(model).graph
    weights = {tensor.name for tensor in graph.initializer}
    return {
        node.input[1].removeprefix("network.").removesuffix(".weight"): node.name
        for node in graph.node
        if node.op_type in _WITH_WEIGHTS and node.input[1] in weights
    }


def quantised(model: bytes, images: Pixels, fp32: Collection[str] = ()) -> bytes:
    """A network in int8, as the content of an ONNX file.

    Args:
        model: see `prepared`.
        images: that ranges are taken of.
        fp32: layers that stay in float32, by the names of `layers`.
    """
    nodes = layers(model)
    return static(model, _batches(images), [nodes[name] for name in fp32])


def static(
    model: bytes, batches: Iterator[Mapping[str, Pixels]], left: Sequence[str] = ()
) -> bytes:
    """Any graph in int8, as the content of an ONNX file.

    Weights have 7 bits. With 8 bits a CPU without VNNI saturates where it adds two products, and
    answers otherwise than one that has it. What is measured here would not hold there.

    Args:
        model: see `prepared`.
        batches: that ranges are taken of, by the names of the inputs.
        left: nodes that stay in float32.
    """
    import onnx  # noqa: PLC0415 - see `prepared`
    from onnxruntime.quantization import (  # noqa: PLC0415 - a second
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def get_next(self) -> Mapping[str, Pixels] | None:
            return next(batches, None)

    with scratch("convnas-") as place:
        given, made = place / "model.onnx", place / FILE
        given.write_bytes(model)
        quantize_static(
            given,
            made,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(left),
        )
        return _standard(onnx.load(made))


def _standard(model: "ModelProto") -> bytes:
    """A file's content without the sets of operators that it names but has none of.

    Older runtimes refuse to load a model that names them.
    """
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    data: bytes = model.SerializeToString()
    return data


def _batches(images: Pixels) -> Iterator[dict[str, Pixels]]:
    for start in range(0, len(images), _AT_ONCE):
        yield {"images": images[start : start + _AT_ONCE]}
