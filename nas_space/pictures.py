"""How an image file is read, in training and by an exported network alike: exports carry this text.

It needs Pillow, and only where images are read.
"""

import math
import warnings
from contextlib import nullcontext
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

FEWEST_PAGES = 5
"""Of a TIFF whose grey pages are the channels of one image; fewer may be images of their own."""


def read_image(path: str | Path) -> "Tensor":
    """An image file as (1, *INPUT_SIZE), values 0 to 1: upright, its centre, at that size."""
    import torch

    channels, height, width = INPUT_SIZE
    image = picture(path, (width, height), mode_of(channels), BITS, EARLIER)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, channels).permute(0, 3, 1, 2) / 255


def mode_of(channels: int) -> str:
    """L of grey images, RGB of those in colours; of others an L for each channel."""
    return "RGB" if channels == 3 else "L" * channels


def picture(path: str | Path, size: tuple[int, int], mode: str, bits: int, earlier: bool) -> Any:
    """An image file, upright, on white, its centre, of a size.

    It is Pillow's image of mode L or RGB, or for other modes, see `mode_of`, an array (H, W, C).

    Raises OSError, ValueError and others of Pillow: it is none, is damaged, or has no known range.
    """
    from PIL import Image, ImageOps

    images = channels_of(path, bits, earlier)
    if len(images) > 1:
        images = [each.convert("L") for each in images]
    if len(mode) == 3 == len(images):
        images = [Image.merge(mode, images)]
    if len(mode) not in (1, 3):
        if len(images) != len(mode):
            found = sum(len(each.getbands()) for each in images)
            raise ValueError(f"it has {found} channels, not {len(mode)}")
    elif len(images) > 1:
        raise ValueError(f"it has {len(images)} channels: it is neither grey nor RGB")
    elif images[0].has_transparency_data and not earlier:
        seen = images[0].convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        images = [Image.alpha_composite(white, seen).convert(mode)]
    else:
        images = [images[0].convert(mode)]
    if images[0].size != size:
        images = [ImageOps.fit(each, size, Image.Resampling.BILINEAR) for each in images]
    if len(images) == 1:
        return images[0]
    import numpy as np

    return np.stack([np.asarray(each) for each in images], axis=2)


def channels_of(path: str | Path, bits: int, earlier: bool) -> list[Any]:
    """An image file as Pillow's images of 8 bits: one, or one for each of its channels."""
    from PIL import Image, ImageOps

    levels = levels_of(path, earlier)
    if levels is not None:
        return [eight_bits(Image.fromarray(each.copy()), False, bits) for each in levels]
    with opened(path, earlier) as file:
        upper, found = has_upper_bits_only(file), []
        for page in range(pages_of(file, earlier)):
            file.seek(page)
            found.append(eight_bits(ImageOps.exif_transpose(file), upper, bits))
    if len({(each.mode, each.size) for each in found}) > 1:
        raise ValueError("it is a stack of pages that differ; save each as a file of its own")
    return found


def levels_of(path: Any, earlier: bool) -> Any:
    """The levels (C, H, W) of a file that Pillow cannot read whole; None of any other.

    It is a .npy file of (H, W) or (H, W, C), or a TIFF with more values a pixel than a picture.
    """
    from PIL import Image

    if not str(path).lower().endswith(".npy"):
        values = 0 if earlier else values_of(path)
        return tiff_levels(path, values) if values else None
    import numpy as np

    found: Any = np.load(path, mmap_mode="r")
    shape: tuple[int, ...] = getattr(found, "shape", ())
    if len(shape) not in (2, 3) or found.dtype.kind != "u" or found.dtype.itemsize > 2:
        raise ValueError("it is no array of uint8 or uint16 and shape (H, W) or (H, W, C)")
    if not found.size or (len(shape) == 3 and shape[0] < shape[1] == shape[2]):
        raise ValueError(f"it has the shape {shape}, which must be (H, W, C), the channels last")
    if shape[0] * shape[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError
    return found.reshape(shape[0], shape[1], -1).transpose(2, 0, 1)


def values_of(path: Any) -> int:
    """How many values a pixel has in a TIFF, if they are no picture's but channels; else 0.

    Of these Pillow refuses some files, and of others it reads the first channels only.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with nullcontext(path) if hasattr(path, "read") else Path(path).open("rb") as file:
        file.seek(0)
        head = file.read(8)
        if head[:4] == b"II+\0":  # BigTIFF; Pillow reads none of big-endian numbers
            head += file.read(8)
        elif head[:4] not in (b"II*\0", b"MM\0*"):
            return 0
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        file.seek(0)
    values, grey, alpha = tags.get(277, 1), tags.get(262) == 1, any(tags.get(338, ()))
    several = values > 1 and grey and not (values == 2 and alpha)
    return values if several or (values > 4 and tags.get(262) == 2) else 0


def tiff_levels(path: Any, values: int) -> Any:
    """The levels (C, H, W) of a TIFF of several values a pixel, upright."""
    import zlib

    from PIL import Image

    cure = "pip install 'convnas[tiff]', or tifffile and imagecodecs"
    try:
        import numpy as np
        import tifffile
    except ImportError:
        raise ValueError(f"a TIFF of {values} values a pixel needs tifffile: {cure}") from None
    try:
        file: Any = tifffile.TiffFile(path)
        with file:
            # Beside it there may be smaller copies of it, and masks.
            page, *others = [each for each in file.pages if not each.subfiletype & 0b101]
            if not others and page.dtype in (np.uint8, np.uint16):
                # A file of a few bytes may say that it is large.
                pixels = max(page.imagewidth * page.imagelength, page.size / 4)
                if pixels > (Image.MAX_IMAGE_PIXELS or math.inf):
                    raise Image.DecompressionBombError
                levels: Any = page.asarray(maxworkers=1)
                axes, turn = page.axes, page.tags.valueof(274, default=1)
    except (RuntimeError, ValueError, zlib.error) as error:
        if "imagecodecs" in str(error):
            raise ValueError(f"how it is compressed needs imagecodecs: {cure}") from None
        raise ValueError(str(error)) from error
    if others:
        raise ValueError("it is a stack of pages of several values; save each as a file of its own")
    if page.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its levels are {page.dtype}; save them as uint8 or uint16")
    if axes not in ("YXS", "SYX"):
        raise ValueError(f"its axes are {axes}; save it as one image of height, width, channels")
    levels = levels if axes == "SYX" else levels.transpose(2, 0, 1)
    if turn > 4:
        levels = levels.transpose(0, 2, 1)
    flipped = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}
    return np.flip(levels, flipped.get(turn, ()))


def pages_of(file: Any, earlier: bool) -> int:
    """How many pages of an image file are its channels: 1, or those of a stack in a TIFF."""
    return 1 if file.format != "TIFF" or earlier else file.n_frames


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
    if 1 < pages < FEWEST_PAGES or (pages > 1 and len(file.getbands()) > 1):
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
