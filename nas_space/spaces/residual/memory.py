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

from nas_space.convs.base import area, out_size
from nas_space.costs.cost import Task
from nas_space.costs.pricing import price
from nas_space.spaces.architecture import Architecture

BYTES_A_NUMBER = 4
"""Of a number in fp32."""


def peak(architecture: Architecture, task: Task) -> int:
    """Most bytes of activations alive at once for one image, in closed form.

    Args:
        architecture: a residual one: a stem, then blocks of two layers.
        task: what it is for.
    """
    (stem, size), *layers = architecture.sizes(task.size)
    most = task.channels * area(size) + stem.conv.peak_activations(task.channels, stem.c_out, size)
    for (first, size), (second, inner) in zip(layers[::2], layers[1::2], strict=True):
        assert first.c_in is not None  # noqa: S101 - only the stem's is open
        x, y = first.c_in * area(size), first.c_out * area(inner)
        most = max(
            most,
            x + price(first.conv, first.c_in, first.c_out, size, first.stride).peak_activations,
            x + y + price(second.conv, first.c_out, second.c_out, inner).peak_activations,
        )
        if first.stride > 1 or first.c_in != first.c_out:  # a projection
            most = max(most, x + 2 * second.c_out * area(out_size(size, first.stride)))
    return BYTES_A_NUMBER * max(most, layers[-1][0].c_out + task.classes)
