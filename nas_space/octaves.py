"""The modules of octave convolution, on a (high, low) pair of maps or on one tensor.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, equation 4; strides, rounding
and biases as in the authors' MXNet code.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.convs.base import Size, out_size
from nas_space.dense import DenseConv2d, convolved
from nas_space.eager import eager
from nas_space.kernels import octave

Widths = tuple[int, int]
"""Channels of the (high, low) frequency maps; 0 where a frequency is absent."""
Octaves = tuple[Tensor | None, Tensor | None]
"""High map (N, high, H, W) and low map (N, low, ceil(H/2), ceil(W/2)); None where absent."""


class OneTensor(nn.Module):
    """Wraps an `OctConv2d` so that one full-resolution tensor goes in and comes out."""

    def __init__(self, conv: "OctConv2d") -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        if self.training and self._merges(x):
            return self._merged(x)
        size = out_size((x.shape[2], x.shape[3]), self.conv.stride)
        # One split, not two slices: its gradient is one concatenation, theirs the sum of two maps.
        parts = x.split(self.conv.widths_in, dim=1)  # type: ignore[no-untyped-call]
        x_high, x_low = (part if part.shape[1] else None for part in parts)
        high, low = self.conv((x_high, pool(x_low) if x_low is not None else None))
        maps = [high] if low is None else [high, upsample(low, size)]
        return torch.cat([y for y in maps if y is not None], dim=1)

    def _merges(self, x: Tensor) -> bool:
        """Whether `_merged` is the same function: all paths are there, and sizes halve evenly."""
        conv, steps = self.conv, 2 * self.conv.stride
        paths = (conv.h2h, conv.h2l, conv.l2h, conv.l2l)
        return (
            eager(x)
            and x.shape[2] % steps == x.shape[3] % steps == 0
            and x.is_contiguous(memory_format=torch.channels_last)
            and all(type(path) is DenseConv2d and path.bias is None for path in paths)
            and all(path.groups == 1 for path in paths if isinstance(path, nn.Conv2d))
            and (conv.stride > 1 or _has_kernels(x))
        )

    def _merged(self, x: Tensor) -> Tensor:
        """As `forward`, with fewer passes over activations.

        All that is pooled is pooled at once, and paths to the same map from the same size are one
        convolution of all their channels: h2l and l2l, and where the stride is 2 h2h and l2h too.
        """
        conv = self.conv
        if conv.stride > 1:
            coarse = pool(x)
            high = _side_by_side(coarse, conv.h2h, conv.l2h)
            low = _side_by_side(pool(coarse), conv.h2l, conv.l2l)
            return torch.cat([high, upsample(low, (high.shape[2], high.shape[3]))], dim=1)
        fine, coarse, low = octave.PartFunction.apply(x, conv.widths_in[0])
        to_low = _side_by_side(coarse, conv.h2l, conv.l2l)
        maps = (_side_by_side(fine, conv.h2h), _side_by_side(low, conv.l2h), to_low)
        y: Tensor = octave.JoinFunction.apply(*map(_rows, maps))
        return y


def _has_kernels(x: Tensor) -> bool:
    """Whether those of `nas_space.kernels.octave` serve."""
    taken = {torch.float32, torch.bfloat16}
    device = x.device.type
    return (
        x.dtype in taken
        # Of what the paths give, too: it may be autocast's.
        and (not torch.is_autocast_enabled(device) or torch.get_autocast_dtype(device) in taken)
        and torch.get_num_threads() == 1
        and octave.kernels() is not None
    )


def _side_by_side(x: Tensor, *convs: nn.Module | None) -> Tensor:
    """The sum of convolutions that take their share of the channels each, in order."""
    paths = [conv for conv in convs if isinstance(conv, nn.Conv2d)]
    weights = [path.weight for path in paths]
    return convolved(x, torch.cat(weights, dim=1) if len(weights) > 1 else weights[0])


class OctConv2d(nn.Module):
    """The four-path octave convolution of equation 4, on a (high, low) pair of maps.

    A frequency that is absent is None, and so are the paths to and from it.

    Every path is a stride-1 convolution at the resolution where it runs, with its own zero
    padding. High to low pools *before* the convolution, low to high upsamples *after* it. A
    stride of 2 pools the inputs first, and then low to high needs no upsampling. A bias stands
    once for each output frequency, on the path that comes from the high map if there is one.

    Args:
        widths_in: channels of the (high, low) input; 0 for an absent frequency.
        widths_out: channels of the (high, low) output; 0 for an absent frequency.
        kernel: side of the kernel, odd; in three dimensions (time, height, width).
        stride: 1 or 2, of height and width.
        groups: groups of every path; with as many groups as channels the convolution is
            depthwise and the frequencies do not mix.
        bias: whether the outputs have biases.
    """

    _convolution: ClassVar[type[nn.Conv2d | nn.Conv3d]] = DenseConv2d

    def __init__(
        self,
        widths_in: Widths,
        widths_out: Widths,
        kernel: int | tuple[int, ...],
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.widths_in = widths_in
        self.widths_out = widths_out
        self.stride = stride
        depthwise = groups > 1 and groups == sum(widths_in) == sum(widths_out)
        padding: Any = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2

        def path(c_in: int, c_out: int, *, biased: bool, mixes: bool) -> nn.Module | None:
            if not (c_in and c_out) or (depthwise and mixes):
                return None
            count = c_in if depthwise else groups
            sides: Any = kernel
            return self._convolution(c_in, c_out, sides, 1, padding, groups=count, bias=biased)

        (high_in, low_in), (high, low) = widths_in, widths_out
        from_high = high_in > 0 and not depthwise
        self.h2h = path(high_in, high, biased=bias, mixes=False)
        self.h2l = path(high_in, low, biased=bias, mixes=True)
        self.l2h = path(low_in, high, biased=bias and not high_in, mixes=True)
        self.l2l = path(low_in, low, biased=bias and not from_high, mixes=False)

    def forward(self, x: Octaves) -> Octaves:
        """Map (N, high_in, H, W) and its low half to (N, high, ceil(H/s), ceil(W/s)) and its."""
        x_high, x_low = x
        strided = self.stride > 1
        low_to_high = x_low
        if strided:
            x_high = pool(x_high) if x_high is not None else None
            x_low = pool(x_low) if x_low is not None and self.l2l is not None else None
        high = self.h2h(x_high) if self.h2h is not None else None
        low = self.l2l(x_low) if self.l2l is not None else None
        if self.l2h is not None:
            y = self.l2h(low_to_high)
            if not strided and x_high is not None:
                y = upsample(y, (x_high.shape[-2], x_high.shape[-1]))
            elif not strided:
                y = upsample(y, (2 * y.shape[-2], 2 * y.shape[-1]))
            high = y if high is None else high.add_(y)
        if self.h2l is not None and x_high is not None:
            y = self.h2l(pool(x_high))
            low = y if low is None else low.add_(y)
        return high, low


class OctConv3d(OctConv2d):
    """The octave convolution of video, on maps (N, C, T, H, W): time is never halved.

    Paper, section 4.4; the four paths are `torch.nn.Conv3d` with a kernel (time, height, width).
    """

    _convolution = nn.Conv3d


def pool(x: Tensor) -> Tensor:
    """Average 2×2 blocks of the last two axes; an odd last row or column averages what it has."""
    if x.dim() == 5:  # noqa: PLR2004 - (N, C, T, H, W)
        return F.avg_pool3d(x, (1, 2, 2), ceil_mode=True)
    if eager(x) and x.shape[2] % 2 == x.shape[3] % 2 == 0:
        halved: Tensor = _Halved.apply(x)
        return halved
    return F.avg_pool2d(x, 2, ceil_mode=True)


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


def _rows(x: Tensor) -> Tensor:
    """The same as rows of channels."""
    return x.contiguous(memory_format=torch.channels_last)


def upsample(x: Tensor, size: Size) -> Tensor:
    """Repeat every pixel 2×2, cut to that height and width (which may be odd)."""
    scale = (2.0, 2.0) if x.dim() == 4 else (1.0, 2.0, 2.0)  # noqa: PLR2004 - (N, C, H, W)
    y = F.interpolate(x, scale_factor=scale, mode="nearest")
    return y[..., : size[0], : size[1]]
