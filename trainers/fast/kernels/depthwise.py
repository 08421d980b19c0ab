"""Depthwise 3×3 convolutions of stride 1: the kernels of ``depthwise.c``."""

import torch

from trainers.fast.kernels.convolution import ConvKernel, Direction, Shape


def _serves(shape: Shape, _lanes: int) -> bool:
    depthwise = shape.groups == shape.c_in == shape.c_out
    return depthwise and (shape.kernel, shape.stride) == (3, 1)


def _describe(way: Direction) -> tuple[int, ...]:
    shape = way.shape
    return (shape.images, shape.height, shape.width, shape.c_in, shape.half)


KERNEL = ConvKernel("depthwise", _serves, _describe, torch.contiguous_format)
