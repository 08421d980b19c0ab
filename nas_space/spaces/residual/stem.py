"""The layer that reads the image, as a value and as text."""

from dataclasses import dataclass
from typing import Self

from nas_space.convs import Conv, parse
from nas_space.convs.regular import Regular
from nas_space.spaces.architecture import InvalidArchitectureError

_USUAL = Regular()
_STRIDED = "/2"
"""Ends the text of a stem of stride 2."""


@dataclass(frozen=True, slots=True)
class Stem:
    """A convolution of any type that takes the image's channels, with normalisation and ReLU.

    Attributes:
        conv: its choice.
        stride: 1, or 2 to halve the image.
    """

    conv: Conv = _USUAL
    stride: int = 1

    @classmethod
    def read(cls, text: object) -> Self:
        """Read what `str` makes of it.

        Raises:
            InvalidArchitectureError: it is no text.
            InvalidChoiceError: it names no convolution.
        """
        if not isinstance(text, str):
            raise InvalidArchitectureError("a stem must be text like regular or blueprint/2")
        strided = text.endswith(_STRIDED)
        return cls(parse(text.removesuffix(_STRIDED)), 2 if strided else 1)

    def __str__(self) -> str:
        """The convolution, and ``/2`` if it halves the image."""
        return f"{self.conv}{_STRIDED if self.stride > 1 else ''}"
