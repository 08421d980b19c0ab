"""How the image files of a data set are read: decided once, and kept in the record of a study."""

import contextlib
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from PIL import Image

from nas_space.pictures import BITS

MAX_PIXELS = 178_956_970
"""Of an image, unless a user says otherwise: where Pillow itself refuses to read on."""
BROKEN = (
    OSError,
    EOFError,
    LookupError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
"""Errors of Pillow for files that are no images, cut off, or suspiciously large."""
_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that sensors give."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How image files are read.

    Attributes:
        bits: what grey levels hold in files of more than 8 bits; None takes what the images of a
            search have.
        max_pixels: of an image: a small file may say that it is of many.
        earlier: as convnas read them before 2026-12: other suffixes and folders inside classes are
            passed over, and so is transparency.
    """

    bits: int | None = None
    max_pixels: int = MAX_PIXELS
    earlier: bool = False

    def to_json(self) -> dict[str, object]:
        """As a plain dict."""
        return asdict(self)

    @classmethod
    def recorded(cls, record: Mapping[str, Any] | None) -> Self:
        """What a study has recorded; those of before 2026-12 have nothing."""
        return cls(BITS, earlier=True) if record is None else cls(**record)


AS_IT_COMES = Reading()
"""As suits the images."""


def depth(highest: int) -> int:
    """The least usual number of bits that holds a level."""
    return next(bits for bits in _DEPTHS if highest < 2**bits)


@contextlib.contextmanager
def limited(max_pixels: int) -> Iterator[None]:
    """Make images of more pixels errors; ignore Pillow's warnings about metadata."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
