"""Octave convolution, OctConv(α).

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, equation 4; strides,
rounding and biases as in the authors' MXNet code.
"""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, Size, area, out_size
from nas_space.costs.operations import (
    ADD,
    AVERAGE_POOL,
    CONCAT,
    SPLIT,
    UPSAMPLE,
    Operations,
    convolution,
    plain,
)
from nas_space.errors import InvalidChoiceError

if TYPE_CHECKING:
    from torch import Tensor, nn


def split(channels: int, alpha: float) -> tuple[int, int]:
    """Channels of the (high, low) maps: low is α·channels rounded down, as in the paper's code."""
    low = int(alpha * channels)
    return channels - low, low


@dataclass(frozen=True, kw_only=True)
class Octave(Conv):
    """A convolution whose share α of channels lives at half the resolution.

    It takes and gives one full-resolution tensor: the last α·c_in channels are pooled on entry
    and the last α·c_out upsampled on exit. Pooling undoes nearest upsampling, so a chain of equal α
    computes what the paper's chain of (high, low) pairs does (at even sizes, exactly).

    α = 0 is a regular convolution (of pooled maps where the stride is 2: OctConv never strides),
    α = 1 one at half the resolution.

    Attributes:
        alpha: share of low-frequency channels, of input and output alike.
    """

    kind: ClassVar[str] = "octave"
    paper: ClassVar[str] = "Chen et al., Drop an Octave, arXiv 1904.05049"
    mixes_channels: ClassVar[bool] = True

    alpha: float

    def __post_init__(self) -> None:
        """Refuse shares outside [0, 1]."""
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise InvalidChoiceError(f"octave: alpha must be from 0 to 1, not {self.alpha}")

    @classmethod
    def candidates(cls, c_in: int, c_out: int) -> tuple[Self, ...]:  # noqa: ARG003 - fixed list
        """The four shares of the paper."""
        return tuple(cls(alpha=alpha) for alpha in (0.125, 0.25, 0.5, 0.75))

    def unsupported_reason(self, c_in: int, c_out: int) -> str | None:
        """Each frequency that α asks for needs at least one channel."""
        for width in (c_in, c_out):
            high, low = split(width, self.alpha)
            if (self.alpha > 0 and low == 0) or (self.alpha < 1 and high == 0):
                missing = "low" if low == 0 else "high"
                return f"alpha = {self.alpha} of {width} channels leaves no {missing} ones"
        return None

    @classmethod
    def layer(cls) -> "type[nn.Module]":
        """`nas_space.layers.octave.Octave`."""
        from nas_space.layers import octave  # noqa: PLC0415 - see `Conv.layer`

        return octave.Octave

    def init_from_dense(self, module: "nn.Module", kernel: "Tensor") -> bool:
        """Each path takes its block of the kernel, so maps without detail give what they gave."""
        high, _ = split(kernel.shape[0], self.alpha)
        rows = {"h": kernel[:high], "l": kernel[high:]}
        high, _ = split(kernel.shape[1], self.alpha)
        for name, path in module.get_submodule("conv").named_children():
            source, target = name[0], name[-1]
            blocks = {"h": rows[target][:, :high], "l": rows[target][:, high:]}
            path.get_parameter("weight").data.copy_(blocks[source])
        return True

    def params(self, c_in: int, c_out: int) -> int:
        """K² · c_in · c_out, whatever α."""
        return self.kernel**2 * c_in * c_out

    def macs(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The four paths, each at the resolution where it runs."""
        (high_in, low_in), (high, low) = split(c_in, self.alpha), split(c_out, self.alpha)
        fine = area(out_size(size, stride))
        coarse = area(out_size(out_size(size, stride), 2))
        from_low = low_in * (high * (fine if stride > 1 else coarse) + low * coarse)
        return self.kernel**2 * (high_in * (high * fine + low * coarse) + from_low)

    def operations(self, c_in: int, c_out: int, stride: int = 1) -> Operations:
        """Up to four convolutions, and what halves, doubles, adds and joins their maps."""
        widths_in, widths = split(c_in, self.alpha), split(c_out, self.alpha)
        (high_in, low_in), (high, low) = widths_in, widths
        found = [
            convolution(read, given, self.kernel)
            for read, given in itertools.product(widths_in, widths)
            if read and given
        ]
        strided = stride > 1
        counts = {
            SPLIT: 1,
            AVERAGE_POOL: (low_in > 0)
            + (strided and high_in > 0)
            + (strided and low_in > 0 and low > 0)
            + (high_in > 0 and low > 0),
            UPSAMPLE: (low > 0) + (not strided and low_in > 0 and high > 0),
            ADD: (high_in > 0 and low_in > 0) * ((high > 0) + (low > 0)),
            CONCAT: high > 0 and low > 0,
        }
        return *found, *plain(*(name for name, count in counts.items() for _ in range(count)))

    def peak_activations(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The fullest of the moments that `nas_space.layers.octave` goes through."""
        (high_in, low_in), (high, low) = split(c_in, self.alpha), split(c_out, self.alpha)
        out = out_size(size, stride)
        fine, coarse = area(out), area(out_size(out, 2))
        doubled = 4 * coarse  # upsampled, before an odd last row is cut off
        entry = low_in * (fine if stride > 1 else coarse)
        y_high, y_low = high * fine, low * coarse
        mixes = bool(high_in and low)
        if stride > 1:
            again = low_in * coarse * bool(low)
            pooled = high_in * fine
            moments = [
                entry + pooled + again + y_high * bool(high_in),
                entry + pooled + again + y_high * bool(high_in) + y_low * bool(low_in),
                entry + pooled + y_low + y_high * (1 + bool(high_in)) * bool(low_in),
                mixes * (pooled + high_in * coarse + y_high + y_low),
            ]
        else:
            up = bool(low_in and high)
            moments = [
                entry + y_high + y_low + up * high * coarse,
                up * (y_high + y_low + high * (coarse + doubled)),
            ]
        moments += [
            mixes * (y_high + 2 * y_low + high_in * coarse),
            y_high + y_low + low * doubled,
            y_high + low * doubled + c_out * fine,
        ]
        return max(moments)
