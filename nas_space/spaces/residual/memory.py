"""Peak activation memory: the most bytes of feature maps alive at once while a network answers.

Counted for one image in fp32, without weights and without a kernel's own workspace. The network
runs as a small device would run it, one operation after the other in the order of
`nas_space.spaces.building`:

- normalisation is folded into the convolution before it; a ReLU and an addition write over an
  operand; every other operation makes a new tensor: a convolution, a pooling, an upsampling, a
  channel shuffle, a concatenation;
- a tensor is freed after its last use, but the input of a layer is kept until that layer is done;
- so while a block's first convolution runs, its input and that convolution's own tensors are alive;
  while a later one runs, the block's input, which the shortcut needs, as well; a projection runs
  last.

Each type says what it has between its operations (`Conv.peak_activations`). Tests hold the closed
form to what the operations of the real modules take and give, and PyTorch's own allocations to a
bound.
"""

from collections.abc import Iterator
from typing import Protocol

from nas_space.convs.base import Size, area, out_size
from nas_space.costs.cost import Task
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import Layer
from nas_space.spaces.residual.blocks import BlockLayers
from nas_space.spaces.residual.stem import Stem

BYTES_A_NUMBER = 4
"""Of a number in fp32."""


class Residual(Protocol):
    """What of a residual architecture is counted."""

    def layers(self) -> Iterator[Layer]:
        """The stem, and layers that can be chosen."""

    def blocks(self) -> Iterator[BlockLayers]:
        """The layers of each block."""

    @property
    def stem(self) -> Stem:
        """The layer that reads the image."""

    @property
    def head(self) -> int | None:
        """Channels of the 1×1 convolution before the pool, if there is one."""


def peak(architecture: Residual, task: Task) -> int:
    """Most bytes of activations alive at once for one image, in closed form.

    Args:
        architecture: a residual one: a stem, then blocks, perhaps a head.
        task: what it is for.
    """
    stem, size = architecture.stem, architecture.stem.behind(task.size)
    first, *_ = architecture.layers()
    width = first.c_out
    most = of_stem(stem, width, task)
    for block in architecture.blocks():
        most = max(most, of_block(block, size))
        width, size = block.width, block.behind(size)
    if architecture.head is not None:
        most = max(most, (width + architecture.head) * area(size))
        width = architecture.head
    return BYTES_A_NUMBER * max(most, width + task.classes)


def of_stem(stem: Stem, width: int, task: Task) -> int:
    """Most numbers alive at once while a stem of some width reads an image."""
    x = width * area(out_size(task.size, stem.stride))
    began = price(stem.conv, task.channels, width, task.size, stem.stride).peak_activations
    most = task.channels * area(task.size) + began
    return max(most, x + width * area(stem.behind(task.size))) if stem.pooled else most


def of_block(block: BlockLayers, size: Size) -> int:
    """Most numbers alive at once in a block that reads a map of some size."""
    first, *_ = block.layers
    assert first.c_in is not None  # noqa: S101 - only the stem's is open
    x, most = first.c_in * area(size), 0
    if block.pooled:
        size = out_size(size, 2)
        pooled = first.c_in * area(size)
        x, most = pooled, x + pooled
    between = 0
    for layer in block.layers:
        priced = price(layer.conv, layer.c_in or 0, layer.c_out, size, layer.stride)
        most = max(most, x + between + priced.peak_activations)
        size = out_size(size, layer.stride)
        between = layer.c_out * area(size)
    return max(most, x + 2 * between) if block.shortcut is not None else most
