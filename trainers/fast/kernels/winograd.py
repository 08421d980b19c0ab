"""3×3 convolutions of stride 1 by minimal filtering, dense or in groups: ``winograd.c``.

Weights and intermediate values are float32, for bfloat16 maps too. A number's error is about ten
times that of a convolution as defined: a few millionths of the largest.

Source: Lavin and Gray, arXiv 1509.09308, F(4×4, 3×3).
"""

import torch

from trainers.fast.kernels.convolution import ConvKernel, Direction, Shape


def _serves(shape: Shape, _lanes: int) -> bool:
    return (shape.kernel, shape.stride) == (3, 1)


def _describe(way: Direction) -> tuple[int, ...]:
    shape, (before, height, width) = way.shape, way.source
    widths = (before // shape.groups, way.target[0] // shape.groups)
    return (shape.images, height, width, shape.groups, *widths, shape.half)


KERNEL = ConvKernel("winograd", _serves, _describe, torch.channels_last)
