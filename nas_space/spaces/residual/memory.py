"""Peak activation memory: the most bytes of feature maps alive at once while a network answers.

Counted for one image in fp32, without weights and without a kernel's own workspace. The network
runs as a small device would run it, one operation after the other in the order of
`nas_space.spaces.building`:

- normalisation is folded into the convolution before it; a ReLU and an addition write over an
  operand; every other operation makes a new tensor: a convolution, a pooling, an upsampling, a
  channel shuffle, a concatenation;
- a tensor is freed after its last use, but the input of a layer is kept until that layer is done;
- so while a block's first convolution runs, its input and that convolution's own tensors are alive;
  while the second runs, the block's input, which the shortcut needs, as well; a projection runs
  last.

Each type says what it has between its operations (`Conv.peak_activations`). Tests hold the closed
form to what the operations of the real modules take and give, and PyTorch's own allocations to a
bound.
"""

from collections.abc import Iterator
from typing import Protocol

from nas_space.convs.base import area, out_size
from nas_space.costs.cost import Task
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.blocks import BlockLayers

BYTES_A_NUMBER = 4
"""Of a number in fp32."""


class Residual(Protocol):
    """What of a residual architecture is counted."""

    def layers(self) -> Iterator[Layer]:
        """The stem, and layers that can be chosen."""

    def blocks(self) -> Iterator[BlockLayers]:
        """The layers of each block."""


def peak(architecture: Residual, task: Task) -> int:
    """Most bytes of activations alive at once for one image, in closed form.

    Args:
        architecture: a residual one: a stem, then blocks of two layers.
        task: what it is for.
    """
    stem, *_ = architecture.layers()
    image, width = task.size, stem.c_out
    size = out_size(image, stem.stride)
    x = width * area(size)
    began = price(stem.conv, task.channels, width, image, stem.stride)
    most = task.channels * area(image) + began.peak_activations
    for block in architecture.blocks():
        first, second = block.first, block.second
        assert first.c_in is not None  # noqa: S101 - only the stem's is open
        if block.pooled:
            size = out_size(size, 2)
            pooled = first.c_in * area(size)
            x, most = pooled, max(most, x + pooled)
        inner = out_size(size, first.stride)
        hidden, y = first.c_out * area(inner), second.c_out * area(inner)
        most = max(
            most,
            x + price(first.conv, first.c_in, first.c_out, size, first.stride).peak_activations,
            x + hidden + price(second.conv, first.c_out, second.c_out, inner).peak_activations,
        )
        if block.shortcut is not None:
            most = max(most, x + 2 * y)
        size, x, width = inner, y, second.c_out
    return BYTES_A_NUMBER * max(most, width + task.classes)
