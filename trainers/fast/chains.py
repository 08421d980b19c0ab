"""Chains of 1×1 group convolutions and channel shuffles, as IGC and IGCV2 have them.

As torch has them, the 1×1 convolutions take as long as a dense one or longer, and each shuffle
half of that again. So they have a kernel that shuffles nothing, or are one dense convolution.

Source: Zhang et al., arXiv 1707.02725, and Xie et al., arXiv 1804.06202.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import torch
from torch import Tensor, nn

from nas_space.weights import through
from trainers.fast import table
from trainers.fast.algorithms import convolve, in_usual_precision
from trainers.fast.kernels import mixing
from trainers.fast.watching import is_free


@dataclass(frozen=True, slots=True)
class Chain:
    """What follows a group convolution: a shuffle, then 1×1 convolutions, a shuffle after each.

    Attributes:
        parts: those modules.
        convs: the convolutions among them.
        inner: channels of a group of the convolution before, which the first one does not mix.
    """

    parts: tuple[nn.Module, ...]
    convs: tuple[nn.Conv2d, ...]
    inner: int

    @classmethod
    def found(cls, modules: Sequence[nn.Module]) -> Self | None:
        """The chain that begins a row of modules; None if there is none."""
        parts = list[nn.Module]()
        for module in modules:
            wanted = nn.Conv2d if len(parts) % 2 else nn.ChannelShuffle
            if type(module) is not wanted or not is_free(module):
                break
            if isinstance(module, nn.Conv2d) and not _is_pointwise(module):
                break
            parts.append(module)
        if len(parts) % 2 == 0:
            parts = parts[:-1]
        convs = tuple(part for part in parts if isinstance(part, nn.Conv2d))
        if not convs or any(conv.in_channels != conv.out_channels for conv in convs):
            return None
        first = parts[0]
        assert isinstance(first, nn.ChannelShuffle)  # noqa: S101 - as it was found
        width = convs[0].in_channels
        return None if width % first.groups else cls(tuple(parts), convs, width // first.groups)

    @property
    def digits(self) -> tuple[int, ...]:
        """Channels of a group, of each convolution."""
        return tuple(conv.weight.shape[1] for conv in self.convs)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, by the fastest algorithm that serves."""
        if not (x.is_cpu and x.dim() == 4 and x.numel() and in_usual_precision(x)):  # noqa: PLR2004
            return self._in_parts(x)
        shape = (x.shape[0], x.shape[1], x.shape[2] * x.shape[3], x.dtype is torch.bfloat16)
        name = _fastest(self.inner, self.digits, self._shuffles, *shape)
        known = (conv.weight for conv in self.convs)
        if name == "mixed" and all(one.is_cpu and one.dtype is torch.float32 for one in known):
            return self._mixed(x)
        return self._dense(x) if name == "dense" else self._in_parts(x)

    def algorithms(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """The algorithms by the names that the table has for them."""
        return {"mixed": self._mixed, "dense": self._dense, "parts": self._in_parts}

    @property
    def _shuffles(self) -> tuple[int, ...]:
        return tuple(part.groups for part in self.parts if isinstance(part, nn.ChannelShuffle))

    def _mixed(self, x: Tensor) -> Tensor:
        rows = x.contiguous(memory_format=torch.channels_last)
        weights = [conv.weight.contiguous() for conv in self.convs]
        y: Tensor = mixing.MixingFunction.apply(rows, self.inner, *weights)
        return y

    def _dense(self, x: Tensor) -> Tensor:
        first = self.convs[0].weight
        unit = torch.eye(len(first), dtype=first.dtype, device=first.device)
        with torch.autocast(first.device.type, enabled=False):
            matrix = through(self.parts, unit)
        return convolve(x, matrix[:, :, None, None])

    def _in_parts(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x


def size(
    inner: int, digits: Sequence[int], width: int, pixels: int, images: int
) -> tuple[int, ...]:
    """A chain's numbers, as the table's rows have them."""
    return (inner, sum(digits), width, pixels, images)


@cache
def _fastest(
    inner: int,
    digits: tuple[int, ...],
    shuffles: tuple[int, ...],
    images: int,
    width: int,
    pixels: int,
    half: bool,
) -> str:
    numbers = size(inner, digits, width, pixels, images)
    times = dict(table.nearest(f"chain of {len(digits)}", numbers, half=half))
    if not _mixes(inner, digits, shuffles, width):
        times.pop("mixed", None)
    return min(times, key=lambda name: times[name], default="parts")


def _mixes(inner: int, digits: tuple[int, ...], shuffles: tuple[int, ...], width: int) -> bool:
    """Whether the kernel serves: each convolution mixes another digit of a channel's number."""
    expected = tuple(width // digit for digit in (inner, *digits))
    return (
        len(digits) <= mixing.STAGES
        and math.prod((inner, *digits)) == width
        and shuffles == expected
        and mixing.KERNELS.exist()
    )


def _is_pointwise(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == conv.stride == (1, 1) and conv.padding == (0, 0) and conv.bias is None
    )
