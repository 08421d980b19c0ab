"""A convolution in a user's network: its place and its description."""

from dataclasses import dataclass

from nas_space.convs.base import Size


@dataclass(frozen=True, slots=True)
class ConvSite:
    """A `torch.nn.Conv2d` of a module.

    Attributes:
        name: as `nn.Module.named_modules` gives it.
        c_in: input channels.
        c_out: output channels.
        kernel: height and width of the kernel.
        stride: vertical and horizontal.
        groups: of the convolution.
        sizes: of the input maps, one for each time that the module calls it.
        macs: multiply-adds for one image.
        obstacle: why no type can replace it; None if one may.
    """

    name: str
    c_in: int
    c_out: int
    kernel: Size
    stride: Size
    groups: int
    sizes: tuple[Size, ...]
    macs: int
    obstacle: str | None = None

    @property
    def weights(self) -> int:
        """How many weights it has, without a bias."""
        return self.kernel[0] * self.kernel[1] * self.c_in // self.groups * self.c_out

    def __str__(self) -> str:
        """Its description: ``3×3, 64 → 128, stride 2``."""
        depthwise = 1 < self.groups == self.c_in
        notes = [
            f"{self.kernel[0]}×{self.kernel[1]}",
            f"{self.c_in} → {self.c_out}",
            f"stride {self.stride[0]}" * (self.stride != (1, 1)),
            "depthwise" if depthwise else f"{self.groups} groups" * (self.groups > 1),
        ]
        return ", ".join(note for note in notes if note)
