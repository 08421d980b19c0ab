"""The operators as the papers write them down, which is how a competent user would port them.

Two grouped `torch.nn.Conv2d` with shuffles of channels for IGC, the four paths with pooling and
upsampling for OctConv. Weights have the names that ours have, so those of one fit the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nas_space.convs import Conv
from nas_space.convs.deep_roots import DeepRoots
from nas_space.convs.igc import IGC
from nas_space.convs.octave import Octave
from nas_space.convs.regular import Regular
from nas_space.convs.xception import Xception


class Shuffle(nn.Module):
    """Channel l·M + m goes to m·L + l, by the usual view and transpose."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Octaves(nn.Module):
    """The four paths of OctConv, of one tensor: it is split, and joined again."""

    def __init__(self, alpha: float, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        low_in, low = int(alpha * c_in), int(alpha * c_out)
        self.high_in, high = c_in - low_in, c_out - low
        self.conv = nn.ModuleDict(
            {
                "h2h": nn.Conv2d(self.high_in, high, 3, 1, 1, bias=False),
                "h2l": nn.Conv2d(self.high_in, low, 3, 1, 1, bias=False),
                "l2h": nn.Conv2d(low_in, high, 3, 1, 1, bias=False),
                "l2l": nn.Conv2d(low_in, low, 3, 1, 1, bias=False),
            }
        )
        self.pool = nn.AvgPool2d(2, 2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, H/stride, W/stride)."""
        high, low = x[:, : self.high_in], self.pool(x[:, self.high_in :])
        from_low = self.conv["l2h"](low)
        if self.stride == 2:  # noqa: PLR2004 - a halving
            high, low = self.pool(high), self.pool(low)
        else:
            from_low = self.up(from_low)
        y_high = self.conv["h2h"](high) + from_low
        y_low = self.conv["l2l"](low) + self.conv["h2l"](self.pool(high))
        return torch.cat([y_high, self.up(y_low)], dim=1)


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)


def _igc(conv: IGC, c_in: int, c_out: int, stride: int) -> nn.Module:
    return nn.Sequential(
        _conv(c_in, c_out, 3, stride, conv.L),
        Shuffle(conv.L),
        _conv(c_out, c_out, 1, groups=conv.M),
        Shuffle(conv.M),
    )


_FORMS: Mapping[type[Conv], Callable[[Any, int, int, int], nn.Module]] = {
    Regular: lambda _, c_in, c_out, stride: _conv(c_in, c_out, 3, stride),
    IGC: _igc,
    Xception: lambda _, c_in, c_out, stride: nn.Sequential(
        _conv(c_in, c_in, 3, stride, c_in), _conv(c_in, c_out, 1)
    ),
    DeepRoots: lambda conv, c_in, c_out, stride: nn.Sequential(
        _conv(c_in, c_out, 3, stride, conv.groups), _conv(c_out, c_out, 1)
    ),
    Octave: lambda conv, c_in, c_out, stride: Octaves(conv.alpha, c_in, c_out, stride),
}


def naive(conv: Conv, c_in: int, c_out: int, stride: int = 1) -> nn.Module:
    """The module of a choice with a kernel of 3, at even sizes."""
    return _FORMS[type(conv)](conv, c_in, c_out, stride)
