"""The layer that reads the image, as a value and as text."""

from dataclasses import dataclass
from typing import Self

from nas_space.convs import Conv, parse
from nas_space.convs.base import Size, out_size
from nas_space.convs.regular import Regular
from nas_space.spaces.architecture import InvalidArchitectureError

_USUAL = Regular()
_STRIDED, _POOLED = "/2", "/pool"
"""End the text of a stem of stride 2, and of one with pooling behind it."""


@dataclass(frozen=True, slots=True)
class Stem:
    """A convolution of any type that takes the image's channels, with normalisation and ReLU.

    Attributes:
        conv: its choice.
        stride: 1, or 2 to halve the image.
        pooled: whether the maxima of 3×3 pixels halve the map behind it, as in ResNet-18.
    """

    conv: Conv = _USUAL
    stride: int = 1
    pooled: bool = False

    def behind(self, size: Size) -> Size:
        """The height and width of the map behind it, for images of that size."""
        return out_size(size, self.stride * (1 + self.pooled))

    @classmethod
    def read(cls, text: object) -> Self:
        """Read what `str` makes of it.

        Raises:
            InvalidArchitectureError: it is no text.
            InvalidChoiceError: it names no convolution.
        """
        if not isinstance(text, str):
            raise InvalidArchitectureError("a stem must be text like regular or blueprint/2")
        pooled, text = text.endswith(_POOLED), text.removesuffix(_POOLED)
        strided, text = text.endswith(_STRIDED), text.removesuffix(_STRIDED)
        return cls(parse(text), 2 if strided else 1, pooled)

    def __str__(self) -> str:
        """The convolution, ``/2`` if it halves the image, ``/pool`` if it is pooled."""
        return f"{self.conv}{_STRIDED * (self.stride > 1)}{_POOLED * self.pooled}"
