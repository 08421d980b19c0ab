"""A user's own images: a folder for each class, with or without train, val and test folders."""

import contextlib
import os
import statistics
import struct
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainers.data.splits import (
    Dataset,
    DatasetError,
    Positions,
    Subset,
    make_dataset,
    split_positions,
)
from trainers.machine import cores

_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that Pillow may read, for any name of a file; it would run PostScript in Ghostscript."""
_GREY = frozenset({"1", "L", "I;16", "I;16B", "I;16L", "LA"})
_DEFAULT_SIDE_PIXELS = 64
"""Larger images, and images of different sizes, are resized to at most this side."""

_BIG_SIDE_PIXELS = 256
"""Images with a longer side are worth a thread for decoding."""
_BROKEN = (
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

WidthHeight = tuple[int, int]
"""Width and height, in Pillow's order."""


def load(root: Path, image_size: int | None, subset: Subset | None) -> Dataset:
    """Decode the images below a folder.

    Without an image size, images of equal size up to 64×64 stay as they are; others are cropped to
    their central square and resized. They are read as grey only if all of them are grey.

    Raises:
        DatasetError: no images, no classes, an image that cannot be decoded, or too many pixels.
    """
    name = str(root.resolve())
    if not name.isprintable():
        raise DatasetError(f"the folder {name!r} needs a printable name: studies keep it")
    files = {split: _files(folder) for split, folder in _split_folders(root).items()}
    classes = tuple(sorted({path.parent.name for path in files["train"]}))
    for label in classes:
        if not label.isprintable():
            raise DatasetError(f"the class folder {label!r} in {root} needs a printable name")
    for path in (path for paths in files.values() for path in paths):
        if path.parent.name not in classes:
            raise DatasetError(f"{path.parent} is a class that the train folder does not have")
    numbers = {label: number for number, label in enumerate(classes)}
    labels = {
        split: np.asarray([numbers[path.parent.name] for path in paths], dtype=np.int64)
        for split, paths in files.items()
    }
    used = split_positions(labels, subset)
    looked_at = [
        files[source][i] for split, (source, at) in used.items() if split != "test" for i in at
    ]
    with _bombs_are_errors():
        headers = [_header(path) for path in looked_at]
    image_size = image_size or _common_side(headers)
    size = (image_size, image_size) if image_size else headers[0].size
    mode = "L" if all(header.grey for header in headers) else "RGB"
    _check_memory(root, len(looked_at), size, channels=len(mode))
    # Big images are decoded in parallel; small ones spend their time in Python and would only wait
    # for each other (10,000 of 32×32: 1.3 s on one thread, 2.1 s on two).
    threads = cores() if max(max(header.size) for header in headers) > _BIG_SIDE_PIXELS else 1

    def decode_all(split: str, positions: Positions) -> NDArray[np.uint8]:
        paths = [files[split][position] for position in positions]
        with _bombs_are_errors(), ThreadPoolExecutor(threads) as pool:
            decoded = map if threads == 1 else pool.map
            return np.stack(list(decoded(lambda path: _decode(path, size, mode), paths)))

    return make_dataset(
        name,
        classes,
        labels,
        decode_all,
        flip=True,
        subset=subset,
        image_size=image_size,
    )


def decode(path: Path, size: WidthHeight, mode: str) -> NDArray[np.uint8]:
    """One image file as pixels (H, W, C): upright, cropped to its centre, at that size.

    Args:
        path: of the file.
        size: width and height.
        mode: Pillow's: ``L`` for grey, ``RGB``.

    Raises:
        DatasetError: the file is missing, or cannot be decoded.
    """
    if not path.is_file():
        raise DatasetError(f"there is no image file {path}")
    with _bombs_are_errors():
        return _decode(path, size, mode)


@dataclass(frozen=True, slots=True)
class _Header:
    size: WidthHeight
    grey: bool


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; the root itself is train if its sub-folders are classes."""
    folders = _subfolders(root)
    splits: dict[str, Path] = {}
    for folder in folders:
        split = _SPLITS.get(folder.name.lower())
        if split in splits:
            raise DatasetError(f"{root} has two {split} folders: {splits[split]} and {folder}")
        if split is not None:
            splits[split] = folder
    strangers = [folder for folder in folders if folder not in splits.values()]
    if splits and not strangers:
        if "train" not in splits:
            raise DatasetError(f"{root} has a {min(splits)} folder but no train folder beside it")
        return splits
    # "train" may also be a class, next to "car" and "plane": then images are directly in it.
    if "train" in splits and not _images(splits["train"]):
        raise DatasetError(
            f"{strangers[0]} stands beside {splits['train']} but is no split: move it away"
        )
    return {"train": root}


def _subfolders(root: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(hidden))


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )


def _files(folder: Path) -> list[Path]:
    found = [path for group in _subfolders(folder) for path in _images(group)]
    if not found:
        raise DatasetError(
            f"no images in {folder}: it must hold a sub-folder for each class, with image files "
            f"({' '.join(sorted(_SUFFIXES))}) in it"
        )
    return found


def _open(path: Path) -> Image.Image:
    if not path.is_file():  # reading a pipe or a device may never end
        raise OSError("it is no file")
    return Image.open(path, formats=_FORMATS)


def _header(path: Path) -> _Header:
    try:
        with _open(path) as image:
            return _Header(image.size, image.mode in _GREY)
    except _BROKEN as error:
        raise _unreadable(path, error) from None


def _decode(path: Path, size: WidthHeight, mode: str) -> NDArray[np.uint8]:
    try:
        with _open(path) as image:
            upright = ImageOps.exif_transpose(_eight_bits(image)).convert(mode)
        if upright.size != size:
            upright = ImageOps.fit(upright, size, Image.Resampling.BILINEAR)
    except _BROKEN as error:
        raise _unreadable(path, error) from None
    pixels = np.asarray(upright, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], len(mode))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale sixteen bits per pixel down; Pillow would clip them to white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError("32 bits a pixel have no known range; save it with 8 or 16")
    return image


@contextlib.contextmanager
def _bombs_are_errors() -> Iterator[None]:
    """Make suspiciously large images errors; ignore Pillow's warnings about metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _unreadable(path: Path, error: Exception) -> DatasetError:
    reason = (str(error) or type(error).__name__).replace(str(path), "it").splitlines()[0]
    return DatasetError(f"cannot decode the image {path} ({reason}); repair or delete it")


def _common_side(headers: list[_Header]) -> int | None:
    """The side to resize large images and images of different sizes to; None keeps all."""
    sizes = {header.size for header in headers}
    if len(sizes) == 1 and max(sizes.pop()) <= _DEFAULT_SIDE_PIXELS:
        return None
    return min(_DEFAULT_SIDE_PIXELS, int(statistics.median(min(header.size) for header in headers)))


def _check_memory(root: Path, count: int, size: WidthHeight, channels: int) -> None:
    # Decoded once, split once, padded once on the way to the device.
    needed = 3 * count * size[0] * size[1] * channels
    if sys.platform != "linux":  # other systems do not tell how much memory is free
        return
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > free:
        raise DatasetError(
            f"{count} images of {size[0]}×{size[1]} in {root} need {needed / 1e9:.1f} GB of memory "
            f"and {free / 1e9:.1f} GB are free; give a smaller --image-size"
        )
