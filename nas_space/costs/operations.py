"""What a runtime computes one after the other: the operations that a layer is made of.

Names are those of profiles of devices (`nas_space.devices`), not those of one runtime.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

CONVOLUTION, GROUPED, DEPTHWISE = "convolution", "grouped convolution", "depthwise convolution"
DILATED = "dilated convolution"
AVERAGE_POOL, MAX_POOL, UPSAMPLE = "average pool", "max pool", "upsample"
SHUFFLE, SPLIT, CONCAT = "channel shuffle", "split", "concat"
ADD, RELU, MEAN, LINEAR = "add", "relu", "mean", "linear"
SCALE = "scale"
"""Adds numbers to channels, or multiplies by them: how images are normalised."""

OPERATORS = (
    *(CONVOLUTION, GROUPED, DEPTHWISE, DILATED, AVERAGE_POOL, MAX_POOL, UPSAMPLE),
    *(SHUFFLE, SPLIT, CONCAT, ADD, RELU, MEAN, LINEAR, SCALE),
)
"""All names."""

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


@dataclass(frozen=True, slots=True)
class Tally:
    """What a runtime keeps of some operations.

    Attributes:
        weights: numbers of all kernels.
        channels: output channels of all that has weights: each has a bias, and in int8 scales.
        operations: how many there are, without ReLUs: each is part of the operation before it.
    """

    weights: int
    channels: int
    operations: int

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> Self:
        """Count them."""
        found = [operation for operation in operations if operation.name != RELU]
        return cls(sum(op.weights for op in found), sum(op.c_out for op in found), len(found))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.weights + other.weights,
            self.channels + other.channels,
            self.operations + other.operations,
        )


def plain(*names: str) -> Operations:
    """Operations without weights."""
    return tuple(map(Operation, names))


def side(kernel: Iterable[int]) -> int:
    """The side of a square kernel with as many pixels or more."""
    return math.isqrt(max(0, math.prod(kernel) - 1)) + 1
