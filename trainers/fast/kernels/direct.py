"""Convolutions of maps of few pixels, dense or in groups: the kernels of ``direct.c``.

Weights are read as they lie in memory, and products with padding are left out.
"""

import torch

from trainers.fast.kernels.convolution import ConvKernel, Direction, Shape


def _serves(shape: Shape, _lanes: int) -> bool:
    return not shape.half


def _describe(way: Direction) -> tuple[int, ...]:
    groups = way.shape.groups
    (before, *source), (after, *target) = way.source, way.target
    return (
        way.shape.images,
        *source,
        *target,
        groups,
        before // groups,
        after // groups,
        way.shape.kernel,
        way.stride,
        way.spread,
    )


KERNEL = ConvKernel("direct", _serves, _describe, torch.channels_last)
