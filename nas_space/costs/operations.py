"""What a runtime computes one after the other: the operations that a layer is made of.

Names are those of profiles of devices (`nas_space.devices`), not those of one runtime.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

CONVOLUTION, GROUPED, DEPTHWISE = "convolution", "grouped convolution", "depthwise convolution"
DILATED = "dilated convolution"
AVERAGE_POOL, MAX_POOL, UPSAMPLE = "average pool", "max pool", "upsample"
SHUFFLE, SPLIT, CONCAT = "channel shuffle", "split", "concat"
ADD, RELU, MEAN, LINEAR = "add", "relu", "mean", "linear"
SCALE = "scale"
"""Adds numbers to channels, or multiplies by them: how images are normalised."""

OPERATORS = (
    (CONVOLUTION, GROUPED, DEPTHWISE, DILATED, AVERAGE_POOL, MAX_POOL, UPSAMPLE)
    + (SHUFFLE, SPLIT, CONCAT)
    + (ADD, RELU, MEAN, LINEAR, SCALE)
)
"""All names."""

CHANNEL_BYTES = 28
"""Of an output channel in int8, beside its weights: a bias of 4 bytes, and a scale (4) and a zero
point (8) of the weights and of the bias each, as files of TensorFlow Lite keep them."""
FP32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: one of `OPERATORS`, or a name of ONNX.
        kernel: side of a convolution's kernel, in pixels; 1 where there is none.
        groups: of a convolution.
        c_in: channels that a convolution or a linear layer reads; 0 of operations without weights.
        c_out: channels that it gives.
    """

    name: str
    kernel: int = 1
    groups: int = 1
    c_in: int = 0
    c_out: int = 0

    @property
    def weights(self) -> int:
        """Numbers of its kernel; biases are none of them."""
        return self.kernel**2 * self.c_in // self.groups * self.c_out


Operations = tuple[Operation, ...]


def convolution(
    c_in: int, c_out: int, kernel: int, groups: int = 1, *, dilated: bool = False
) -> Operation:
    """A convolution by the name that runtimes have for it.

    With a group for each input channel it is depthwise, also where a channel has several outputs.
    """
    name = CONVOLUTION if groups == 1 else DEPTHWISE if groups == c_in else GROUPED
    return Operation(DILATED if dilated else name, kernel, groups, c_in, c_out)


def linear(c_in: int, c_out: int) -> Operation:
    """A linear layer."""
    return Operation(LINEAR, c_in=c_in, c_out=c_out)


def int8_bytes(operations: Iterable[Operation]) -> int:
    """Bytes of all weights in int8: a byte each, and `CHANNEL_BYTES` for each output channel."""
    return sum(op.weights + CHANNEL_BYTES * op.c_out for op in operations)


def fp32_bytes(operations: Iterable[Operation]) -> int:
    """Bytes of all weights in fp32, with a bias for each output channel."""
    return sum(FP32_BYTES * (op.weights + op.c_out) for op in operations)


def plain(*names: str) -> Operations:
    """Operations without weights."""
    return tuple(map(Operation, names))


def side(kernel: Iterable[int]) -> int:
    """The side of a square kernel with as many pixels or more."""
    return math.isqrt(max(0, math.prod(kernel) - 1)) + 1
