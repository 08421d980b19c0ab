"""A user's own images: a folder for each class, with or without train, val and test folders."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from nas_space.pictures import BITS, has_upper_bits_only, opened, picture
from nas_space.waiting import Say, silent
from trainers.data.listing import Listing, listed
from trainers.data.reading import AS_IT_COMES, BROKEN, Reading, depth, limited
from trainers.data.splits import (
    Dataset,
    DatasetError,
    Positions,
    Subset,
    alike,
    make_dataset,
    split_positions,
)
from trainers.machine import cores, free_memory

S = TypeVar("S")
T = TypeVar("T")
_GREY = frozenset({"1", "L", "I", "I;16", "I;16B", "I;16L", "LA"})
_DEFAULT_SIDE_PIXELS = 64
"""Larger images, and images of different sizes, are resized to at most this side."""

_BIG_SIDE_PIXELS = 256
"""Images with a longer side are worth a thread for decoding."""
WidthHeight = tuple[int, int]
"""Width and height, in Pillow's order."""
_MOST_NAMED = 10


def load(
    root: Path,
    image_size: int | None,
    subset: Subset | None,
    reading: Reading = AS_IT_COMES,
    say: Say = silent,
) -> Dataset:
    """Decode the images below a folder.

    Without an image size, images of equal size up to 64×64 stay as they are; others are cropped to
    their central square and resized. They are read as grey only if all of them are grey.

    Args:
        root: of the folders.
        image_size: side in pixels.
        subset: see `trainers.data.registry.load`.
        reading: how its files are read; `bits` of None are found out.
        say: gets the progress.

    Raises:
        DatasetError: no images, no classes, images that cannot be decoded or are all alike, or too
            many pixels.
    """
    name = str(root.resolve())
    if not name.isprintable():
        raise DatasetError(f"the folder {name!r} needs a printable name: studies keep it")
    listing = listed(root, reading)
    numbers = {label: number for number, label in enumerate(listing.classes)}
    labels = {
        split: np.asarray([numbers[file.label] for file in found], dtype=np.int64)
        for split, found in listing.files.items()
    }
    every = [file.path for found in listing.files.values() for file in found]
    used = split_positions(labels, subset)
    looked_at = [
        listing.files[source][i].path
        for split, (source, at) in used.items()
        if split != "test"
        for i in at
    ]
    with limited(reading.max_pixels):
        headers = _all_of(looked_at, lambda path: _header(path, reading), every, reading)
    if reading.bits is None:
        highest = max(header.highest for header in headers)
        reading = replace(reading, bits=depth(highest) if highest else BITS)
    image_size = image_size or _common_side(headers)
    size = (image_size, image_size) if image_size else headers[0].size
    mode = "L" if all(header.grey for header in headers) else "RGB"
    _check_memory(root, len(looked_at), size, channels=len(mode))
    # Big images are decoded in parallel; small ones spend their time in Python and would only wait
    # for each other (10,000 of 32×32: 1.3 s on one thread, 2.1 s on two).
    threads = cores() if max(max(header.size) for header in headers) > _BIG_SIDE_PIXELS else 1

    done, total = itertools.count(1), f"{len(looked_at):,}"

    def decode_all(split: str, positions: Positions) -> NDArray[np.uint8]:
        paths = [listing.files[split][position].path for position in positions]
        width, height = size
        pixels = np.empty((len(paths), height, width, len(mode)), dtype=np.uint8)

        def read(at: int) -> None:
            pixels[at] = _decode(paths[at], size, mode, reading)
            if split != "test":
                say(f"reading the images of {root}: {next(done):,} of {total}")

        with limited(reading.max_pixels):
            _all_of(range(len(paths)), read, every, reading, threads)
        return pixels

    dataset = make_dataset(
        name,
        listing.classes,
        labels,
        decode_all,
        flip=True,
        subset=subset,
        image_size=image_size,
    )
    if reading.earlier:
        return replace(dataset, reading=reading)
    train, val = dataset.search.train.pixels, dataset.search.val.pixels
    if alike(train):
        raise DatasetError(
            f"the {len(train):,} training images of {root} are all alike once they are read, such "
            f"as {looked_at[0]}: there is nothing to learn from them"
        )
    remarks = [*listing.remarks, *_several(headers, looked_at), *_flat((train, val), used, listing)]
    return replace(dataset, reading=reading, remarks=tuple(remarks))


def decode(path: Path, size: WidthHeight, mode: str, reading: Reading) -> NDArray[np.uint8]:
    """One image file as pixels (H, W, C): upright, cropped to its centre, at that size.

    Args:
        path: of the file.
        size: width and height.
        mode: Pillow's: ``L`` for grey, ``RGB``.
        reading: how it is read.

    Raises:
        DatasetError: the file is missing, or cannot be decoded.
    """
    if not path.is_file():
        raise DatasetError(f"there is no image file {path}")
    with limited(reading.max_pixels):
        (pixels,) = _all_of([path], lambda one: _decode(one, size, mode, reading), [path], reading)
    return pixels


@dataclass(frozen=True, slots=True)
class _Header:
    """What is known of an image before all are decoded.

    Attributes:
        size: after the turn that its file asks for, where an image may keep its size.
        grey: whether it has no colours.
        highest: level, of images of more than 8 bits; 0 of others.
        several: whether its file holds more pictures.
    """

    size: WidthHeight
    grey: bool
    highest: int
    several: bool


def _all_of(
    images: Sequence[S],
    read: Callable[[S], T],
    every: Sequence[Path],
    reading: Reading,
    threads: int = 1,
) -> list[T]:
    """What is read of each image.

    Raises:
        DatasetError: it names all files of `every` that are broken: one a run would be many runs.
    """
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list((map if threads == 1 else pool.map)(read, images))
    except BROKEN as error:
        first = str(error) or type(error).__name__
    with ThreadPoolExecutor(cores()) as pool:
        reasons = zip(every, pool.map(lambda path: _reason(path, reading), every), strict=True)
        broken = [(path, reason) for path, reason in reasons if reason is not None]
    if not broken:  # it is whole again
        raise DatasetError(f"cannot decode an image of {len(images):,}: {first}")
    what, them = "the image", "it"
    if len(broken) > 1:
        what, them = f"{len(broken):,} images:", "them"
    more = f" and {len(broken) - _MOST_NAMED:,} more" * (len(broken) > _MOST_NAMED)
    named = ", ".join(
        f"{', '.join(str(path) for path, _ in group)} ({reason})"
        for reason, group in itertools.groupby(broken[:_MOST_NAMED], key=itemgetter(1))
    )
    raise DatasetError(f"cannot decode {what} {named}{more}; repair or delete {them}")


def _reason(path: Path, reading: Reading) -> str | None:
    """Why an image file cannot be decoded; None if it can."""
    try:
        _decode(path, (1, 1), "RGB", reading)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"it has more than {reading.max_pixels:,} pixels: --max-pixels allows more"
    except BROKEN as error:
        return (str(error) or type(error).__name__).replace(str(path), "it").splitlines()[0]
    return None


def _is_file(path: Path) -> None:
    if not path.is_file():  # reading a pipe or a device may never end
        raise OSError("it is no file")


def _header(path: Path, reading: Reading) -> _Header:
    _is_file(path)
    with opened(path, reading.earlier) as image:
        grey, size, highest = image.mode in _GREY, image.size, 0
        several = getattr(image, "is_animated", False)
        wide = image.mode.startswith("I") or has_upper_bits_only(image)
        if wide and reading.bits is None:
            highest = _highest(image)
        # The only images whose size as it is matters, see `_common_side`.
        if size[0] != size[1] and max(size) <= _DEFAULT_SIDE_PIXELS and not reading.earlier:
            size = ImageOps.exif_transpose(image).size
        return _Header(size, grey, highest, several)


def _highest(image: ImageFile) -> int:
    """The highest level of an image of more than 8 bits, which Pillow gives in 8 or in all bits."""
    upper = has_upper_bits_only(image)
    extrema = np.asarray(image).max()
    return int(extrema) * 2**8 + 2**8 - 1 if upper else min(int(extrema), 2**BITS - 1)


def _decode(path: Path, size: WidthHeight, mode: str, reading: Reading) -> NDArray[np.uint8]:
    _is_file(path)
    image = picture(path, size, mode, reading.bits or BITS, reading.earlier)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], len(mode))


def _several(headers: Sequence[_Header], paths: Sequence[Path]) -> Iterator[str]:
    found = [path for header, path in zip(headers, paths, strict=True) if header.several]
    if found:
        yield f"the first picture is read of {len(found):,} files that hold several: {found[0]}"


def _flat(
    splits: Sequence[NDArray[np.uint8]], used: Mapping[str, tuple[str, Positions]], listing: Listing
) -> Iterator[str]:
    """A line about images that are of one colour once they are read."""
    flat = [
        listing.files[used[split][0]][used[split][1][i]].path
        for split, pixels in zip(("train", "val"), splits, strict=True)
        # Corners first: most images are told by them.
        for i in np.flatnonzero((pixels[:, 0, 0] == pixels[:, -1, -1]).all(axis=1))
        if (pixels[i] == pixels[i, 0, 0]).all()
    ]
    if flat:
        yield f"images of one colour once they are read: {len(flat):,}, such as {flat[0]}"


def _common_side(headers: list[_Header]) -> int | None:
    """The side to resize large images and images of different sizes to; None keeps all."""
    sizes = {header.size for header in headers}
    if len(sizes) == 1 and max(sizes.pop()) <= _DEFAULT_SIDE_PIXELS:
        return None
    return min(_DEFAULT_SIDE_PIXELS, int(statistics.median(min(header.size) for header in headers)))


def _check_memory(root: Path, count: int, size: WidthHeight, channels: int) -> None:
    # Decoded once, and given to the workers once, which share them.
    needed, free = 2 * count * size[0] * size[1] * channels, free_memory()
    if free is not None and needed > free:
        raise DatasetError(
            f"{count} images of {size[0]}×{size[1]} in {root} need {needed / 1e9:.1f} GB of memory "
            f"and {free / 1e9:.1f} GB are free; give a smaller --image-size"
        )
