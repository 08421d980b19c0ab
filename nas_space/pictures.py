"""How an image file is read, in training and by an exported network alike: exports carry this text.

It needs Pillow, and only where images are read.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

INPUT_SIZE = (3, 32, 32)
"""Channels, height and width. An export has its own in this place."""
BITS = 16
"""What grey levels of more than 8 bits hold in the images of the training. Likewise."""
EARLIER = False
"""Whether files are read as convnas did before 2026-12: without transparency, of a stack of pages
the first. Likewise."""
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")
"""What Pillow may read, for any name of a file; it would run PostScript in Ghostscript."""


def read_image(path: str | Path) -> "Tensor":
    """An image file as (1, *INPUT_SIZE), values 0 to 1: upright, its centre, at that size."""
    import torch

    channels, height, width = INPUT_SIZE
    mode = "L" if channels == 1 else "RGB"
    image = picture(path, (width, height), mode, BITS, EARLIER)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, channels).permute(0, 3, 1, 2) / 255


def picture(path: str | Path, size: tuple[int, int], mode: str, bits: int, earlier: bool) -> Any:
    """An image file as Pillow's image of mode L or RGB: upright, on white, its centre, of a size.

    Raises OSError, ValueError and others of Pillow: it is none, is damaged, or has no known range.
    """
    from PIL import Image, ImageOps

    with opened(path, earlier) as file:
        upper = has_upper_bits_only(file)
        image = eight_bits(ImageOps.exif_transpose(file), upper, bits)
        if image.has_transparency_data and not earlier:
            seen = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
        image = image.convert(mode)
    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    return image


def opened(path: str | Path, earlier: bool) -> Any:
    """An image file as Pillow opens it: only its header is read."""
    from PIL import Image

    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    file: Any = Image.open(path, formats=formats)
    if file.format != "TIFF" or earlier:
        return file
    # A file with a name Pillow 13 maps into memory, mixed up if it is to be turned.
    file.filename = ""
    pages = file.n_frames
    if pages > 1:
        file.close()
        raise ValueError(f"it is a stack of {pages} pages; save each as a file of its own")
    return file


def has_upper_bits_only(file: Any) -> bool:
    """Whether Pillow gives the upper 8 of 16 bits a colour; of a file that is not decoded yet."""
    raw = file.tile[0][3] if file.tile else ""
    return file.mode[0] != "I" and ";16" in (raw if isinstance(raw, str) else str(raw[:1]))


def eight_bits(image: Any, upper: bool, bits: int) -> Any:
    """Bring levels of more than 8 bits to 8; Pillow would clip them to white."""
    if upper and bits < 16:
        raise ValueError(f"of {bits} bits in 16 a colour Pillow reads too few; save it with 8")
    if image.mode[0] not in "IF":
        return image
    low, high = image.convert("F").getextrema()
    if image.mode == "F" or low < 0 or high >= 2**16:
        raise ValueError("32 bits a pixel have no known range; save it with 8 or 16")
    if "transparency" in image.info:
        raise ValueError("16 bits with a level that is transparent are not read; save it with 8")
    if high >= 2**bits:
        said = f"an image has levels up to {high:.0f}: what {bits} bits do not hold is white"
        warnings.warn(said, RuntimeWarning, stacklevel=3)
    return image.convert("I").point(lambda level: level * 2 ** (8 - bits))
