"""Octave convolution with fewer passes over activations.

All that is pooled is pooled at once, and paths to the same map from the same size are one
convolution of all their channels: h2l and l2l, and where the stride is 2 h2h and l2h too.
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.layers.octave import Octave, OctConv2d, pool, upsample
from trainers.fast.algorithms import convolve, is_plain_conv
from trainers.fast.kernels import octave
from trainers.fast.kernels.calling import as_rows
from trainers.fast.watching import is_free


class _Halved(torch.autograd.Function):
    """Average pooling of even sizes with the gradient that it has: each pixel's quarter, repeated.

    On a CPU in channels_last torch's own gradient takes 3 to 5 times as long as upsampling.
    """

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's own, untyped
        """Map (N, C, H, W) to (N, C, H/2, W/2)."""
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(_ctx: Any, dy: Tensor) -> Tensor:  # noqa: ANN401
        """Map the gradient (N, C, H/2, W/2) to (N, C, H, W)."""
        return F.interpolate(dy / 4, scale_factor=(2.0, 2.0), mode="nearest")


def halved(x: Tensor) -> Tensor:
    """What `nas_space.layers.octave.pool` computes, with a fast gradient."""
    if x.dim() == 4 and x.shape[2] % 2 == x.shape[3] % 2 == 0:  # noqa: PLR2004 - (N, C, H, W)
        y: Tensor = _Halved.apply(x)
        return y
    return pool(x)


class MergedOctave:
    """The forward of an `Octave` whose sizes halve evenly; of others it is the layer's own."""

    def __init__(self, module: Octave) -> None:
        self._module = module

    @staticmethod
    def takes(module: nn.Module) -> TypeGuard[Octave]:
        """Whether a module is an octave convolution with all four paths."""
        if type(module) is not Octave:
            return False
        conv = module.conv
        paths = (conv.h2h, conv.h2l, conv.l2h, conv.l2l)
        return (
            type(conv) is OctConv2d
            and all(
                is_plain_conv(path) and path.stride == (1, 1) and path.groups == 1 and is_free(path)
                for path in paths
            )
            and is_free(conv)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        conv = self._module.conv
        steps = 2 * conv.stride
        if (
            not self._module.training
            or not x.is_cpu
            or not x.numel()
            or x.shape[2] % steps
            or x.shape[3] % steps
            or not x.is_contiguous(memory_format=torch.channels_last)
        ):
            return Octave.forward(self._module, x)
        if conv.stride > 1:
            coarse = halved(x)
            high = _side_by_side(coarse, conv.h2h, conv.l2h)
            low = _side_by_side(halved(coarse), conv.h2l, conv.l2l)
            return torch.cat([high, upsample(low, (high.shape[2], high.shape[3]))], dim=1)
        if not octave.KERNELS.exist() or not _parts_fast(x):
            return Octave.forward(self._module, x)
        fine, coarse, low = octave.PartFunction.apply(x, conv.widths_in[0])
        to_low = _side_by_side(coarse, conv.h2l, conv.l2l)
        maps = (_side_by_side(fine, conv.h2h), _side_by_side(low, conv.l2h), to_low)
        y: Tensor = octave.JoinFunction.apply(*map(as_rows, maps))
        return y


def _parts_fast(x: Tensor) -> bool:
    """Whether the kernels take these activations, and what the paths make of them."""
    taken = {torch.float32, torch.bfloat16}
    mixed = torch.is_autocast_enabled("cpu")
    return x.dtype in taken and (not mixed or torch.get_autocast_dtype("cpu") in taken)


def _side_by_side(x: Tensor, *convs: nn.Module | None) -> Tensor:
    """The sum of convolutions that take their share of the channels each, in order."""
    weights = [path.weight for path in convs if isinstance(path, nn.Conv2d)]
    return convolve(x, torch.cat(weights, dim=1) if len(weights) > 1 else weights[0])
