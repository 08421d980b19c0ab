"""Group convolutions as a CPU computes them fast in training: the same function, other kernels.

A CPU multiplies 8 or 16 channels at a time. A group convolution of 2 channels a group, as torch has
it, uses a quarter or an eighth of that and takes longer than a dense one. So

- 3×3 ones in narrow groups have kernels of their own (`nas_space.kernels.grouped`). Forward and
  backward on one core, batch 64, 64 channels of 8×8 to 16×16 in groups of 2, 4, 8 channels take
  0.3, 0.5 to 0.65, 1 of torch's time in fp32 with AVX-512, in bf16 0.12, 0.5 and 1.2 to 1.4;
- depthwise 3×3 ones of stride 1 have one, too (`nas_space.kernels.depthwise`): 0.5 of torch's time
  for 8×8, in bf16 0.6 to 0.9 for 16×16 and 32×32;
- wider groups, from 12 channels in fp32 and 16 or 24 in bf16, by Winograd's minimal filtering as
  dense ones are (`nas_space.dense`): 0.5 to 0.8 of torch's time, with AVX2 and AVX-512 alike; on
  maps of a single tile, 4×4, with AVX2 from 6 channels: groups of 8 take half of our kernels' time;
- maps of a few pixels in wide groups are computed directly (`nas_space.kernels.direct`), and those
  of up to 2×2 in groups of 3 and 6, too: 0.3 to 0.4 of torch's time with AVX2;
- in bf16 on a CPU that multiplies whole matrices (Intel's AMX) groups of 4 channels and more are
  computed so (`nas_space.kernels.matrices`), up to 16 channels together: groups of 8 take 0.5 to
  0.75 of torch's time, of 4 0.8 to 1 of our other kernels', and narrow ones whose width changes
  0.6 to 0.95 of several together;
- where the width changes narrow groups are computed several together, up to the lanes of a vector,
  with zeros where they do not meet: 0.6 to 0.9 of the time for inputs of 1 or 2 channels a group.

Parameters, and what they mean, are untouched.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from nas_space.convs.base import area, out_size
from nas_space.cpu import lanes
from nas_space.dense import filters, multiplies
from nas_space.eager import eager
from nas_space.kernels import depthwise, direct, matrices, winograd
from nas_space.kernels.convolving import is_plain, suits
from nas_space.kernels.grouped import GROUPS, SIDES, GroupedFunction, kernels
from nas_space.planned import Planned, Way

_FEW = 512
"""Pixels of a batch's maps, one image's of 16×16 and less: too few to put weights in order for."""
_PIXELS_A_CHANNEL = 32
"""Our own kernels have less to put in order where groups are narrow, so they need fewer."""
_LARGE = 2**19
"""Numbers of a batch's maps, in fp32: beyond, torch's depthwise convolutions are as fast."""
_CHANNELS_A_PIXEL = 2
"""Channels of a group for each pixel of a target map, from which direct kernels are the fastest."""
_TINY = 4
"""Pixels of a target map, up to which they also are for any groups that have no kernels."""
_LANES_SQUARED = 128
"""Groups of so many channels by lanes are as wide as our own kernels are fast, in fp32."""
_FILTERED, _FILTERED_HALF = 12, 24
"""Channels of a group from which minimal filtering is the fastest, in fp32 and in bf16."""
_FILTERED_FEW, _FEW_CHANNELS, _FEW_NUMBERS = 16, 64, 2**20
"""Likewise in bf16, where a batch's maps have so few channels, and numbers in all."""
_MULTIPLIED, _MULTIPLIED_STRIDED = 4, 8
"""Channels of a group from which a matrix multiplier is the fastest, in bf16 where there is one."""
_WIDE, _CACHED = 16, 2**18
"""Likewise: fewer than these pay whatever the maps, if a cache holds an image's numbers."""
_WIDEST_HALF = 4
"""Likewise in bf16, and for groups that are computed together; in fp32 half of it."""


class GroupConv2d(Planned, nn.Conv2d):
    """A `torch.nn.Conv2d` without bias whose narrow groups are computed another way in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self.planned(x) if self.training and eager(x) else super().forward(x)

    def ways(self, x: Tensor) -> dict[str, Way]:
        """See `Planned.ways`: named after the kernels; ``own`` are those for narrow groups."""
        half = _is_half(x)
        depthwise = self.groups == self.in_channels == self.out_channels
        strided = self.stride != (1, 1)
        pixels = area(out_size((x.shape[-2], x.shape[-1]), self.stride[0]))
        together = 1 if depthwise or x.numel() < _FEW * self.in_channels else self._together(half)
        found: dict[str, Way] = {}
        if half and self._multiplies(x):
            found["matrices"] = self._by_matrices
        if self._is_depthwise(x):
            found["depthwise"] = self._channel_by_channel
        if self._filters(x, half):
            found["winograd"] = self._by_filtering
        has_kernels = self._has_kernels(x)
        wide = self._widest >= _CHANNELS_A_PIXEL * pixels
        if not half and (wide or (pixels <= _TINY and not has_kernels)) and self._has_direct(x):
            found["direct"] = self._directly
        narrow = self._widest <= (_WIDEST_HALF if half else _LANES_SQUARED // lanes())
        if has_kernels and narrow and (strided or not depthwise):
            found["own"] = self._by_kernels
        if depthwise and half and strided:
            found["fp32"] = self._in_fp32
        if together > 1:
            found["together"] = partial(self._in_blocks, together)
        found["torch"] = super().forward
        if has_kernels:
            found["own"] = self._by_kernels  # where it stood already, it stays first
        return found

    @property
    def _widest(self) -> int:
        """Channels of a group, in or out."""
        return max(self.in_channels, self.out_channels) // self.groups

    def _by_matrices(self, x: Tensor) -> Tensor:
        y: Tensor = matrices.MatricesFunction.apply(x, self.weight, self.stride[0])
        return y

    def _directly(self, x: Tensor) -> Tensor:
        y: Tensor = direct.DirectFunction.apply(x, self.weight, self.stride[0])
        return y

    def _channel_by_channel(self, x: Tensor) -> Tensor:
        y: Tensor = depthwise.DepthwiseFunction.apply(x, self.weight)
        return y

    def _by_filtering(self, x: Tensor) -> Tensor:
        y: Tensor = winograd.WinogradFunction.apply(x, self.weight)
        return y

    def _by_kernels(self, x: Tensor) -> Tensor:
        y: Tensor = GroupedFunction.apply(x, self.weight, self.stride[0])
        return y

    def _in_blocks(self, together: int, x: Tensor) -> Tensor:
        kernel = block_diagonal(self.weight, self.groups, together)
        groups = self.groups // together
        return F.conv2d(x, kernel, None, self.stride, self.padding, self.dilation, groups)

    def _in_fp32(self, x: Tensor) -> Tensor:
        """In bf16 its gradient is a slow reference loop.

        44 ms instead of 8 for 16 channels of 32×32, 51 instead of 3 for 128 of 8×8.
        """
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self._conv_forward(x.float(), self.weight.float(), None)
        return y.to(x.dtype)

    def _has_kernels(self, x: Tensor) -> bool:
        """Whether those of `nas_space.kernels.grouped` serve."""
        return (
            self._fits(x)
            and self.in_channels == self.out_channels
            and self.in_channels // self.groups in GROUPS
            and self.kernel_size[0] in SIDES
            and x.numel() >= _PIXELS_A_CHANNEL * self.in_channels**2 // self.groups
            and (found := kernels()) is not None
            and self.in_channels % found.lanes == 0
        )

    def _is_depthwise(self, x: Tensor) -> bool:
        """Whether those of `nas_space.kernels.depthwise` serve."""
        return (
            self.groups == self.in_channels == self.out_channels
            and (self.kernel_size[0], self.stride[0]) == (3, 1)
            and (_is_half(x) or x.numel() <= _LARGE)
            and self._fits(x)
            and depthwise.kernels() is not None
        )

    def _filters(self, x: Tensor, half: bool) -> bool:
        """Whether minimal filtering serves, group by group, and pays."""
        widths = self.in_channels, self.out_channels
        least = _FILTERED
        if half:
            few = max(widths) <= _FEW_CHANNELS and x.numel() <= _FEW_NUMBERS
            least = _FILTERED_FEW if few else _FILTERED_HALF
        elif area((x.shape[2], x.shape[3])) <= winograd.TILE**2:
            least = min(least, lanes() * 3 // 4)  # of a vector
        return (
            min(widths) // self.groups >= least
            and (self.kernel_size[0], self.stride[0]) == (3, 1)
            and self._fits(x)
            and filters(x, self._widest)
            and winograd.kernels() is not None
        )

    def _multiplies(self, x: Tensor) -> bool:
        """Whether a CPU's matrix multiplier serves, and pays."""
        if not self._fits(x):
            return False
        if self._widest >= _WIDE:
            return multiplies(x, self._widest)
        least = _MULTIPLIED if self.stride == (1, 1) else _MULTIPLIED_STRIDED
        has_no_other = self.in_channels != self.out_channels
        return (has_no_other or self._widest >= least) and multiplies(x, self._widest, _CACHED)

    def _has_direct(self, x: Tensor) -> bool:
        """Whether those of `nas_space.kernels.direct` serve."""
        return self._fits(x) and x.shape[0] >= direct.IMAGES and direct.kernels() is not None

    def _fits(self, x: Tensor) -> bool:
        """What all kernels ask for."""
        return is_plain(self) and suits(x, self.in_channels, self.weight)

    def _together(self, half: bool) -> int:
        """How many groups to compute as one."""
        if self.in_channels // self.groups > (_WIDEST_HALF if half else _WIDEST_HALF // 2):
            return 1
        most = max(1, lanes() // self._widest)
        count = next(count for count in range(most, 0, -1) if self.groups % count == 0)
        return count if count < self.groups else 1


def _is_half(x: Tensor) -> bool:
    return x.dtype is torch.bfloat16 or torch.is_autocast_enabled(x.device.type)


def block_diagonal(weight: Tensor, groups: int, together: int) -> Tensor:
    """The kernel (c_out, together·w, K, K) of fewer groups that does what (c_out, w, K, K) does."""
    c_out, width, *sides = weight.shape
    blocks = weight.view(groups // together, together, c_out // groups, 1, width, *sides)
    diagonal = torch.eye(together, dtype=weight.dtype, device=weight.device)
    spread = blocks * diagonal.view(1, together, 1, together, 1, 1, 1)
    return spread.reshape(c_out, together * width, *sides)
