"""Octave convolution, OctConv(α).

Source: Chen et al., *Drop an Octave*, ICCV 2019, arXiv 1904.05049, equation 4; strides,
rounding and biases as in the authors' MXNet code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nas_space.convs.base import Conv, InvalidChoiceError, Size, area, out_size

if TYPE_CHECKING:
    from torch import Tensor, nn


def split(channels: int, alpha: float) -> tuple[int, int]:
    """Channels of the (high, low) maps: low is α·channels rounded down, as in the paper's code."""
    low = int(alpha * channels)
    return channels - low, low


_PLAIN = '''\
class Octave(nn.Module):
    """Octave convolution: the last alpha of the channels lives at half the resolution.

    Four convolutions lead from high and low maps to high and low maps, none of them strided:
    pooling comes before them, upsampling after them.

    Source: Chen et al., Drop an Octave, arXiv 1904.05049, equation 4.
    """

    def __init__(
        self, c_in: int, c_out: int, *, alpha: float, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__()
        self.stride = stride
        low_in, low_out = int(alpha * c_in), int(alpha * c_out)
        high_in, high_out = c_in - low_in, c_out - low_out
        self.widths = (high_in, low_in)
        paths = {
            "h2h": (high_in, high_out),
            "h2l": (high_in, low_out),
            "l2h": (low_in, high_out),
            "l2l": (low_in, low_out),
        }
        self.conv = nn.ModuleDict(
            {
                path: nn.Conv2d(*widths, kernel, padding=kernel // 2, bias=False)
                for path, widths in paths.items()
                if all(widths)
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride))."""
        size = [-(-side // self.stride) for side in x.shape[2:]]
        high, low = x.split(self.widths, dim=1)
        low = self.halved(low)
        inputs = {"h2h": high, "h2l": self.halved(high), "l2h": low, "l2l": low}
        if self.stride == 2:
            inputs = {path: self.halved(x) for path, x in inputs.items()} | {"l2h": low}
        y = {path: conv(inputs[path]) for path, conv in self.conv.items()}
        if self.stride == 1 and "l2h" in y:
            y["l2h"] = self.doubled(y["l2h"], size)
        to_high = [y[path] for path in ("h2h", "l2h") if path in y]
        to_low = [y[path] for path in ("l2l", "h2l") if path in y]
        maps = [sum(to_high[1:], to_high[0])] if to_high else []
        if to_low:
            maps.append(self.doubled(sum(to_low[1:], to_low[0]), size))
        return torch.cat(maps, dim=1)

    def halved(self, x: Tensor) -> Tensor:
        """The mean of each 2×2 block."""
        return F.avg_pool2d(x, 2, ceil_mode=True) if x.shape[1] else x

    def doubled(self, x: Tensor, size: list[int]) -> Tensor:
        """Every pixel repeated 2×2, cut to that height and width."""
        y = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return y[..., : size[0], : size[1]]
'''


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
    plain: ClassVar[str] = _PLAIN

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

    def misfit(self, c_in: int, c_out: int) -> str | None:
        """Each frequency that α asks for needs at least one channel."""
        for width in (c_in, c_out):
            high, low = split(width, self.alpha)
            if (self.alpha > 0 and low == 0) or (self.alpha < 1 and high == 0):
                missing = "low" if low == 0 else "high"
                return f"alpha = {self.alpha} of {width} channels leaves no {missing} ones"
        return None

    def build(self, c_in: int, c_out: int, stride: int = 1) -> "nn.Module":
        """An `OctConv2d` between a pool and an upsampling."""
        from nas_space.octaves import OctConv2d, OneTensor  # noqa: PLC0415 - see `Conv.build`

        conv = OctConv2d(
            split(c_in, self.alpha), split(c_out, self.alpha), self.kernel, stride=stride
        )
        return OneTensor(conv)

    def carry(self, module: "nn.Module", kernel: "Tensor") -> bool:
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

    def working(self, c_in: int, c_out: int, size: Size, stride: int = 1) -> int:
        """The fullest of the moments that the two modules of `nas_space.octaves` go through."""
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
