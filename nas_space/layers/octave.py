"""Octave convolution, on one tensor or on a (high, low) pair of maps.

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, equation 4; strides, rounding
and biases as in the authors' MXNet code.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

Widths = tuple[int, int]
"""Channels of the (high, low) frequency maps; 0 where a frequency is absent."""
Octaves = tuple[Tensor | None, Tensor | None]
"""High map (N, high, H, W) and low map (N, low, ceil(H/2), ceil(W/2)); None where absent."""


def pool(x: Tensor) -> Tensor:
    """Average 2×2 blocks of the last two axes; an odd last row or column averages what it has."""
    if x.dim() == 5:
        return F.avg_pool3d(x, (1, 2, 2), ceil_mode=True)
    return F.avg_pool2d(x, 2, ceil_mode=True)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeat every pixel 2×2, cut to that height and width (which may be odd)."""
    scale = (2.0, 2.0) if x.dim() == 4 else (1.0, 2.0, 2.0)
    y = F.interpolate(x, scale_factor=scale, mode="nearest")
    return y[..., : size[0], : size[1]]


class OctConv2d(nn.Module):
    """The four-path octave convolution, on a (high, low) pair of maps.

    A frequency that is absent is None, and so are the paths to and from it. Every path is a
    stride-1 convolution at the resolution where it runs. High to low pools *before* the
    convolution, low to high upsamples *after* it. A stride of 2 pools the inputs first, and then
    low to high needs no upsampling. A bias stands once for each output frequency.

    Args:
        widths_in: channels of the (high, low) input; 0 for an absent frequency.
        widths_out: channels of the (high, low) output; 0 for an absent frequency.
        kernel: side of the kernel, odd; in three dimensions (time, height, width).
        stride: 1 or 2, of height and width.
        groups: groups of every path; with as many groups as channels the convolution is
            depthwise and the frequencies do not mix.
        bias: whether the outputs have biases.

    Source: Chen et al., Drop an Octave, arXiv 1904.05049, equation 4.
    """

    convolution: ClassVar[type[nn.Conv2d | nn.Conv3d]] = nn.Conv2d

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
        sides: Any = kernel
        padding: Any = tuple(k // 2 for k in kernel) if isinstance(kernel, tuple) else kernel // 2

        def path(c_in: int, c_out: int, *, biased: bool, mixes: bool) -> nn.Module | None:
            if not (c_in and c_out) or (depthwise and mixes):
                return None
            count = c_in if depthwise else groups
            return self.convolution(c_in, c_out, sides, 1, padding, groups=count, bias=biased)

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
            x_high = self.halve(x_high) if x_high is not None else None
            x_low = self.halve(x_low) if x_low is not None and self.l2l is not None else None
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
            y = self.h2l(self.halve(x_high))
            low = y if low is None else low.add_(y)
        return high, low

    def halve(self, x: Tensor) -> Tensor:
        """Map a map to one of half the resolution."""
        return pool(x)


class OctConv3d(OctConv2d):
    """The octave convolution of video, on maps (N, C, T, H, W): time is never halved.

    Paper, section 4.4; the four paths are `torch.nn.Conv3d` with a kernel (time, height, width).
    """

    convolution = nn.Conv3d


class Octave(nn.Module):
    """Octave convolution of one tensor: the last alpha of its channels live at half resolution.

    They are pooled on entry and upsampled on exit. Pooling undoes upsampling, so a chain of equal
    alpha computes what the paper's chain of (high, low) pairs does (at even sizes, exactly).

    Source: Chen et al., Drop an Octave, arXiv 1904.05049, equation 4.
    """

    def __init__(
        self, c_in: int, c_out: int, *, alpha: float, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__()
        low_in, low = int(alpha * c_in), int(alpha * c_out)
        widths_in, widths_out = (c_in - low_in, low_in), (c_out - low, low)
        self.conv = OctConv2d(widths_in, widths_out, kernel, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        conv = self.conv
        size = -(-x.shape[2] // conv.stride), -(-x.shape[3] // conv.stride)
        # One split, not two slices: its gradient is one concatenation, theirs a sum of two maps.
        x_high, x_low = torch.split(x, list(conv.widths_in), dim=1)
        high, low = conv(
            (
                x_high if x_high.shape[1] else None,
                conv.halve(x_low) if x_low.shape[1] else None,
            )
        )
        maps = [high] if low is None else [high, upsample(low, size)]
        return torch.cat([y for y in maps if y is not None], dim=1)
