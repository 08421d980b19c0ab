"""3×3 convolutions in narrow groups with as many inputs as outputs: ``grouped.c``."""

import torch

from trainers.fast.kernels.convolution import ConvKernel, Direction, Shape

GROUPS = (1, 2, 4, 8, 16)
"""Channels of a group that are compiled."""


def _serves(shape: Shape, lanes: int) -> bool:
    return (
        shape.kernel == 3  # noqa: PLR2004 - what is compiled
        and shape.c_in == shape.c_out
        and shape.group_in in GROUPS
        and shape.c_in % lanes == 0
    )


def _describe(way: Direction) -> tuple[int, ...]:
    shape, (channels, *source), (_, *target) = way.shape, way.source, way.target
    sizes = (*source, *target, shape.group_in, shape.kernel, way.stride, way.spread)
    return (shape.images, channels, *sizes, shape.half)


KERNEL = ConvKernel("grouped", _serves, _describe, torch.contiguous_format)
