"""Interleaved group convolutions as a CPU computes them fast in training: the same function.

A K×K group convolution is followed by 1×1 ones with channel shuffles between them. As torch has
them, the 1×1 ones take as long as a dense one or longer, and each shuffle half of that again. So

- they have a kernel of their own (`nas_space.kernels.mixing`), which shuffles nothing and goes
  through all of them at once. Forward and backward on one core with AVX2, batch 64, in fp32, take
  0.3 to 0.5 of the best other way's time for most on maps of 2×2 to 8×8 (0.8 for 256 channels in
  groups of 32 on 2×2), and 0.55 to 1 on larger ones; with AVX-512 0.65 to 0.9 for most; in bf16
  0.65 to 0.7 up to 4×4, on a CPU that multiplies matrices (Intel's AMX);
- on larger maps, where a group is half of all channels, and in bf16, they are computed as the one
  dense convolution that they are together, up to 128 channels, or 256 on such a CPU.

Parameters, and what they mean, are untouched.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_space.convs.base import area
from nas_space.cpu import multiplies_matrices
from nas_space.dense import convolved
from nas_space.eager import eager
from nas_space.grouped import GroupConv2d
from nas_space.kernels import mixing
from nas_space.kernels.convolving import suits
from nas_space.planned import Planned, Way

_WIDEST_DENSE = 128
"""Beyond this width a dense 1×1 convolution loses to grouped ones and their permutations."""
_WIDEST_MULTIPLIED = 256
"""Likewise in bf16 where a CPU multiplies matrices."""
_SMALL, _TINY = 64, 16
"""Pixels of a map, up to which the kernel is the fastest whatever the groups, in fp32 and bf16."""


class Interleaved(Planned, nn.Sequential):
    """A K×K group convolution, then 1×1 ones and channel shuffles in turn.

    Args:
        first: the K×K convolution.
        rest: a `torch.nn.ChannelShuffle`, then 1×1 `GroupConv2d`, each with a shuffle after it.
    """

    def __init__(self, first: GroupConv2d, *rest: nn.Module) -> None:
        super().__init__(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        return self.planned(x) if self.training and eager(x) else self._in_parts(x)

    def ways(self, x: Tensor) -> dict[str, Way]:
        """See `Planned.ways`: those after the first at once, as one ``dense``, in ``parts``."""
        found: dict[str, Way] = {"dense": self._dense, "parts": self._in_parts}
        if self._width > (_WIDEST_MULTIPLIED if _multiplies(x) else _WIDEST_DENSE):
            found = dict(reversed(found.items()))
        if not self._mixes(x):
            return found
        mixed: dict[str, Way] = {"mixed": self._mixed}
        return mixed | found if self._mixes_fast(x) else found | mixed

    @property
    def _first(self) -> GroupConv2d:
        first = self[0]
        assert isinstance(first, GroupConv2d)  # noqa: S101 - as documented
        return first

    @property
    def _width(self) -> int:
        return self._first.out_channels

    @property
    def _weights(self) -> list[Tensor]:
        """Of the 1×1 convolutions: (c_out, channels of a group, 1, 1)."""
        _, *rest = self
        return [part.weight for part in rest if isinstance(part, nn.Conv2d)]

    @property
    def _inner(self) -> int:
        """Channels of a group of the first convolution, which the next one does not mix."""
        shuffle = self[1]
        assert isinstance(shuffle, nn.ChannelShuffle)  # noqa: S101 - as documented
        return self._width // shuffle.groups

    def _mixes(self, x: Tensor) -> bool:
        """Whether the kernel serves: each convolution mixes another digit of a channel's number."""
        weights = self._weights
        digits = (self._inner, *(weight.shape[1] for weight in weights))
        return (
            suits(x, self._first.in_channels, self._first.weight)
            and len(weights) <= mixing.STAGES
            and math.prod(digits) == self._width
            and all(weight.dtype is torch.float32 for weight in weights)
            and mixing.kernels() is not None
        )

    def _mixes_fast(self, x: Tensor) -> bool:
        """Whether the kernel is likely to be the fastest."""
        if x.dtype is not torch.float32:
            return area((x.shape[2], x.shape[3])) <= _TINY
        products = sum(weight.shape[1] for weight in self._weights)
        few = 2 * products < self._width or self._width > _WIDEST_DENSE
        return few or area((x.shape[2], x.shape[3])) <= _SMALL

    def _mixed(self, x: Tensor) -> Tensor:
        rows = self[0](x).contiguous(memory_format=torch.channels_last)
        weights = [weight.contiguous() for weight in self._weights]
        y: Tensor = mixing.MixingFunction.apply(rows, self._inner, *weights)
        return y

    def _dense(self, x: Tensor) -> Tensor:
        first, *rest = self
        width = self._width
        return convolved(first(x), folded(rest, width).view(width, width, 1, 1))

    def _in_parts(self, x: Tensor) -> Tensor:
        for part in self:
            x = part(x)
        return x


def _multiplies(x: Tensor) -> bool:
    return x.dtype is torch.bfloat16 and multiplies_matrices()


def folded(parts: Sequence[nn.Module], width: int) -> Tensor:
    """The matrix (width, width) of a chain of 1×1 group convolutions and channel shuffles."""
    weights = [part.weight for part in parts if isinstance(part, nn.Conv2d)]
    with torch.autocast(weights[0].device.type, enabled=False):
        matrix = torch.eye(width, dtype=weights[0].dtype, device=weights[0].device)
        for part in parts:
            if isinstance(part, nn.ChannelShuffle):
                matrix = matrix.view(part.groups, -1, width).transpose(0, 1)
            else:
                assert isinstance(part, nn.Conv2d)  # noqa: S101 - as documented
                kernels = part.weight.view(part.groups, -1, width // part.groups)
                matrix = kernels @ matrix.reshape(part.groups, -1, width)
            matrix = matrix.reshape(width, width)
    return matrix
