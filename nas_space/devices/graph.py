"""What an ONNX file takes of a device: its operations, its weights and its maps, counted.

The file may be in fp32, or in int8 as QDQ (`nas_space.bundle.int8`). A runtime for small devices
has no float maps beside int8 ones: a convolution between DequantizeLinear and QuantizeLinear is one
in int8. A map lives from the operation that makes it to the last one that reads it; a ReLU, a
reshape and an addition write over what they read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from nas_space.costs.operations import (
    ADD,
    AVERAGE_POOL,
    CONCAT,
    FP32_BYTES,
    MAX_POOL,
    MEAN,
    RELU,
    SCALE,
    SHUFFLE,
    SPLIT,
    UPSAMPLE,
    Operation,
    convolution,
    linear,
    side,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_QUANTISE, _DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
_SAME = {
    _QUANTISE,
    _DEQUANTISE,
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Relu",
    "Clip",
}
"""Operations whose output takes the memory of their input."""
_SILENT = _SAME - {"Relu", "Clip"}
"""Those that a runtime need not compute."""
_NAMES: Mapping[str, str] = {
    "Relu": RELU,
    "Clip": RELU,  # of ReLU6
    "AveragePool": AVERAGE_POOL,
    "MaxPool": MAX_POOL,
    "GlobalAveragePool": MEAN,
    "ReduceMean": MEAN,
    "Resize": UPSAMPLE,
    "Transpose": SHUFFLE,
    "Split": SPLIT,
    "Slice": SPLIT,
    "Concat": CONCAT,
    "Add": ADD,
}
_SCALES = {"Add", "Sub", "Mul", "Div"}
"""With constants: `SCALE`."""
_OVER = {"Add", "Sub", "Mul", "Div"}
"""Operations that write over an operand that nothing reads later."""


@dataclass(frozen=True)
class Graph:
    """A network as a file of ONNX has it.

    Attributes:
        proto: with the shapes of all maps of one image.
    """

    proto: "GraphProto"

    @classmethod
    def read(cls, model: bytes) -> "Graph":
        """Read the content of a file."""
        import onnx  # noqa: PLC0415 - half a second, which an export alone needs

        found = onnx.load_from_string(model)
        for given in found.graph.input:
            given.type.tensor_type.shape.dim[0].dim_value = 1
        return cls(onnx.shape_inference.infer_shapes(found, data_prop=True).graph)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All that a runtime computes, in order."""
        return tuple(found for node in self._nodes if (found := self._operation(node)) is not None)

    def weights_bytes(self, *, int8: bool) -> int:
        """Bytes of all weights.

        Args:
            int8: whether what the file has in fp32 is counted as in int8, too.
        """
        return sum(
            found.weights * (1 if int8 or self._dequantised(node.input[1]) else FP32_BYTES)
            for node in self._nodes
            if (found := self._operation(node)) is not None and found.weights
        )

    def maps_bytes(self, *, int8: bool) -> int:
        """Most bytes of maps that live at once, for one image.

        Args:
            int8: see `weights_bytes`.
        """
        bytes_of = {
            root: numbers * (1 if int8 or root in self._in_int8 else FP32_BYTES)
            for root, numbers in self._numbers.items()
        }
        last = dict[str, int]()
        for at, (reads, made) in enumerate(self._steps):
            last |= dict.fromkeys([*reads, *made], at)
        born, most = set(self._roots_of([given.name for given in self.proto.input])), 0
        for at, (_, made) in enumerate(self._steps):
            born.update(made)
            most = max(most, sum(bytes_of[root] for root in born if last.get(root, -1) >= at))
        return most

    @cached_property
    def is_int8(self) -> bool:
        """Whether the file is one in int8."""
        return any(node.op_type == _QUANTISE for node in self._nodes)

    @cached_property
    def _constants(self) -> Mapping[str, Any]:
        """The shapes of weights by their names."""
        return {tensor.name: tuple(tensor.dims) for tensor in self.proto.initializer}

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of maps by their names."""
        values = (*self.proto.value_info, *self.proto.input, *self.proto.output)
        return {
            value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in values
        }

    @cached_property
    def _made_by(self) -> Mapping[str, "NodeProto"]:
        return {name: node for node in self.proto.node for name in node.output}

    @cached_property
    def _nodes(self) -> Sequence["NodeProto"]:
        """What works on maps: not on weights alone, nor on shapes."""
        known, found = {given.name for given in self.proto.input}, []
        for node in self.proto.node:
            if node.op_type != "Shape" and any(name in known for name in node.input):
                known.update(node.output)
                found.append(node)
        return found

    def _operation(self, node: "NodeProto") -> Operation | None:
        attributes = {each.name: each for each in node.attribute}
        if node.op_type == "Conv":
            c_out, inside, *kernel = self._weight(node.input[1])
            groups = attributes["group"].i if "group" in attributes else 1
            gaps = attributes["dilations"].ints if "dilations" in attributes else ()
            dilated = any(gap > 1 for gap in gaps)
            return convolution(inside * groups, c_out, side(kernel), groups, dilated=dilated)
        if node.op_type in ("Gemm", "MatMul") and self._weight(node.input[1]):
            shape = self._weight(node.input[1])
            turned = "transB" in attributes and attributes["transB"].i
            return linear(*(reversed(shape) if turned else shape))
        if node.op_type in _SILENT:
            return None
        if node.op_type in _SCALES and any(self._weight(name) is not None for name in node.input):
            return Operation(SCALE)
        return Operation(_NAMES.get(node.op_type, node.op_type))

    def _weight(self, name: str) -> Any:  # noqa: ANN401 - a shape
        """The shape of a constant, of one in int8 too; None if it is none."""
        while name not in self._constants and self._dequantised(name):
            name = self._made_by[name].input[0]
        return self._constants.get(name)

    def _dequantised(self, name: str) -> bool:
        return name in self._made_by and self._made_by[name].op_type == _DEQUANTISE

    @cached_property
    def _root(self) -> Mapping[str, str]:
        """For each map the one whose memory it takes."""
        found = {given.name: given.name for given in self.proto.input}
        last = {name: at for at, node in enumerate(self._nodes) for name in node.input}
        for at, node in enumerate(self._nodes):
            read = [name for name in node.input if name in found]
            over = node.op_type in _SAME
            if node.op_type in _OVER:
                # The memory is free if neither the operand nor what shares it is read later.
                read = [
                    name
                    for name in read
                    if all(
                        last.get(other, -1) <= at
                        for other, root in found.items()
                        if root == found[name]
                    )
                ]
                over = bool(read)
            found |= {name: found[read[0]] if over else name for name in node.output}
        return found

    def _roots_of(self, names: Sequence[str]) -> list[str]:
        return [self._root[name] for name in names if name in self._root]

    @cached_property
    def _steps(self) -> list[tuple[list[str], list[str]]]:
        """For each operation the memories that it reads, and those that it writes."""
        return [(self._roots_of(node.input), self._roots_of(node.output)) for node in self._nodes]

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        """How many numbers are in each memory."""
        return {root: prod(self._shapes[root]) for root in set(self._root.values())}

    @cached_property
    def _in_int8(self) -> set[str]:
        """The memories that hold int8: nothing reads what was not dequantised."""
        through = set(self._roots_of([n for node in self._of(_DEQUANTISE) for n in node.output]))
        for node in self._nodes:
            if node.op_type not in _SAME:
                through -= {
                    self._root[name]
                    for name in node.input
                    if name in self._root and not self._dequantised(name)
                }
        return through

    def _of(self, op_type: str) -> Iterator["NodeProto"]:
        return (node for node in self._nodes if node.op_type == op_type)
