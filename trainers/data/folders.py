"""A user's own images: a folder for each class, with or without train, val and test folders."""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from nas_space.pictures import (
    BITS,
    channels_of,
    has_upper_bits_only,
    levels_of,
    mode_of,
    opened,
    pages_of,
)
from nas_space.waiting import Say, silent
from trainers.data.cache import Cache, Known, Look
from trainers.data.decoding import BrokenImageError, Decoding, WidthHeight, is_file
from trainers.data.listing import Lister, Listing, listed
from trainers.data.mapped import FilePart
from trainers.data.reading import AS_IT_COMES, BROKEN, Reading, depth, limited
from trainers.data.splits import (
    Dataset,
    DatasetError,
    Positions,
    SearchData,
    Statistics,
    Subset,
    alike,
    make_dataset,
    split_positions,
)
from trainers.data.tables.embedded import content
from trainers.machine import cores

_GREY = frozenset({"1", "L", "I", "I;16", "I;16B", "I;16L", "LA"})
_USUAL = frozenset({1, 3})
"""Channels of grey images, and of those in colours."""
_DEFAULT_SIDE_PIXELS = 64
"""Larger images, and images of different sizes, are resized to at most this side."""

_MOST_NAMED = 10


def load(
    root: Path,
    image_size: int | None,
    subset: Subset | None,
    reading: Reading = AS_IT_COMES,
    say: Say = silent,
    list_files: Lister = listed,
) -> Dataset:
    """Decode the images below a folder, or those that a table names.

    Without an image size, images of equal size up to 64×64 stay as they are; others are cropped to
    their central square and resized. They are read as grey only if all of them are grey. Images of
    other numbers of channels must have equal ones.

    Args:
        root: of the folders, or the table.
        image_size: side in pixels.
        subset: see `trainers.data.registry.load`.
        reading: how its files are read; `bits` of None are found out.
        say: gets the progress.
        list_files: finds the image files and their classes.

    Raises:
        DatasetError: no images, no classes, images that cannot be decoded, differ in channels or
            are all alike, or too many pixels.
    """
    name = str(root.resolve())
    if not name.isprintable():
        raise DatasetError(f"the path {name!r} needs a printable name: studies keep it")
    listing = list_files(root, reading)
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
    cache = Cache(root, looked_at, say)
    about = [listing.classes, image_size, reading]
    about += [labels[source][at].tolist() for source, at in (used["train"], used["val"])]
    known = cache.recall(*about)
    look = _looked(looked_at, every, image_size, reading) if known is None else known.look
    reading = replace(reading, bits=look.bits)
    how = Decoding(look.size, look.mode, reading)

    def decode_all(split: str, positions: Positions) -> NDArray[np.uint8] | FilePart:
        paths = [listing.files[split][position].path for position in positions]
        try:
            return cache.pixels(paths, how)
        except BrokenImageError as error:
            raise _broken(every, reading, f"of {len(paths):,}: {error}") from None

    def make(statistics: Statistics | None) -> Dataset:
        return make_dataset(
            name,
            listing.classes,
            labels,
            decode_all,
            flip=True,
            subset=subset,
            image_size=look.image_size,
            known=statistics,
        )

    dataset = make(None if known is None else known.statistics)
    if known is not None and known.pixels != cache.pixel_digests:
        known, dataset = None, make(None)
    if known is None:
        flat = () if reading.earlier else _flat(dataset.search, used, listing)
        statistics = Statistics(dataset.search.mean, dataset.search.std, dataset.fingerprint)
        known = Known(look, statistics, tuple(flat), cache.pixel_digests)
        cache.remember(known)
    remarks = cache.remarks
    if not reading.earlier:
        remarks = (*listing.remarks, *look.remarks, *known.flat, *remarks)
    return replace(dataset, reading=reading, remarks=remarks)


def decode(path: Path, size: WidthHeight, mode: str, reading: Reading) -> NDArray[np.uint8]:
    """One image file as pixels (H, W, C): upright, cropped to its centre, at that size.

    Args:
        path: of the file.
        size: width and height.
        mode: see `nas_space.pictures.mode_of`.
        reading: how it is read.

    Raises:
        DatasetError: the file is missing, or cannot be decoded.
    """
    if not path.is_file():
        raise DatasetError(f"there is no image file {path}")
    try:
        with limited(reading.max_pixels):
            pixels: NDArray[np.uint8] = Decoding(size, mode, reading).pixels([path])[0]
    except BrokenImageError as error:
        raise _broken([path], reading, f"of 1: {error}") from None
    else:
        return pixels


@dataclass(frozen=True, slots=True)
class _Header:
    """What is known of an image before all are decoded.

    Attributes:
        size: after the turn that its file asks for, where an image may keep its size.
        channels: 1 if it has no colours, 3 if it has; or other numbers.
        highest: level, of images of more than 8 bits; 0 of others.
        several: whether its file holds more pictures.
    """

    size: WidthHeight
    channels: int
    highest: int
    several: bool


def _looked(
    paths: Sequence[Path], every: Sequence[Path], image_size: int | None, reading: Reading
) -> Look:
    """Look at the headers of images, and decide.

    Raises:
        DatasetError: some are broken, or differ in channels.
    """
    try:
        with limited(reading.max_pixels):
            headers = [_header(path, reading) for path in paths]
    except BROKEN as error:
        first = str(error) or type(error).__name__
        raise _broken(every, reading, f"of {len(paths):,}: {first}") from None
    bits = reading.bits
    if bits is None:
        highest = max(header.highest for header in headers)
        bits = depth(highest) if highest else BITS
    image_size = image_size or _common_side(headers)
    size = (image_size, image_size) if image_size else headers[0].size
    mode = _mode(headers, paths)
    return Look(size, mode, bits, image_size, tuple(_several(headers, paths)))


def _broken(every: Sequence[Path], reading: Reading, first: str) -> DatasetError:
    """The error that names all files that are broken: one a run would be many runs."""
    with limited(reading.max_pixels), ThreadPoolExecutor(cores()) as pool:
        reasons = zip(every, pool.map(lambda path: _reason(path, reading), every), strict=True)
        broken = [(path, reason) for path, reason in reasons if reason is not None]
    if not broken:  # it is whole again
        return DatasetError(f"cannot decode an image {first}")
    what, them = "the image", "it"
    if len(broken) > 1:
        what, them = f"{len(broken):,} images:", "them"
    more = f" and {len(broken) - _MOST_NAMED:,} more" * (len(broken) > _MOST_NAMED)
    named = ", ".join(
        f"{', '.join(str(path) for path, _ in group)} ({reason})"
        for reason, group in itertools.groupby(broken[:_MOST_NAMED], key=itemgetter(1))
    )
    return DatasetError(f"cannot decode {what} {named}{more}; repair or delete {them}")


def _reason(path: Path, reading: Reading) -> str | None:
    """Why an image file cannot be decoded; None if it can."""
    try:
        is_file(path)
        channels_of(content(path), reading.bits or BITS, reading.earlier)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"it has more than {reading.max_pixels:,} pixels: --max-pixels allows more"
    except BROKEN as error:
        return (str(error) or type(error).__name__).replace(str(path), "it").splitlines()[0]
    return None


def _header(path: Path, reading: Reading) -> _Header:
    is_file(path)
    levels = levels_of(content(path), reading.earlier)
    if levels is not None:
        channels, height, width = levels.shape
        wide = levels.itemsize > 1 and reading.bits is None
        return _Header((width, height), channels, int(levels.max()) if wide else 0, several=False)
    with opened(content(path), reading.earlier) as image:
        pages, size, highest = pages_of(image, reading.earlier), image.size, 0
        channels = pages if pages > 1 else 1 if image.mode in _GREY else 3
        several = pages == 1 and getattr(image, "is_animated", False)
        wide = image.mode.startswith("I") or has_upper_bits_only(image)
        if wide and reading.bits is None:
            for page in range(pages):
                image.seek(page)
                highest = max(highest, _highest(image))
        # The only images whose size as it is matters, see `_common_side`.
        if size[0] != size[1] and max(size) <= _DEFAULT_SIDE_PIXELS and not reading.earlier:
            size = ImageOps.exif_transpose(image).size
        return _Header(size, channels, highest, several)


def _highest(image: ImageFile) -> int:
    """The highest level of an image of more than 8 bits, which Pillow gives in 8 or in all bits."""
    upper = has_upper_bits_only(image)
    extrema = np.asarray(image).max()
    return int(extrema) * 2**8 + 2**8 - 1 if upper else min(int(extrema), 2**BITS - 1)


def _mode(headers: Sequence[_Header], paths: Sequence[Path]) -> str:
    """See `nas_space.pictures.mode_of`; raises DatasetError where images differ in channels."""
    examples = {header.channels: path for header, path in zip(headers, paths, strict=True)}
    if len(examples) > 1 and examples.keys() - _USUAL:
        found = ", ".join(f"{count} as in {path}" for count, path in sorted(examples.items()))
        raise DatasetError(f"images differ in channels: {found}; make them equal")
    return mode_of(max(examples))


def _several(headers: Sequence[_Header], paths: Sequence[Path]) -> Iterator[str]:
    found = [path for header, path in zip(headers, paths, strict=True) if header.several]
    if found:
        yield f"the first picture is read of {len(found):,} files that hold several: {found[0]}"


def _flat(
    data: SearchData, used: Mapping[str, tuple[str, Positions]], listing: Listing
) -> Iterator[str]:
    """A line about images that are of one colour once they are read.

    Raises:
        DatasetError: those of the training are all alike.
    """

    def path(split: str, at: int) -> Path:
        source, positions = used[split]
        return listing.files[source][int(positions[at])].path

    if alike(data.train.pixels):
        raise DatasetError(
            f"the {len(data.train):,} training images of {data.name} are all alike once they are "
            f"read, such as {path('train', 0)}: there is nothing to learn from them"
        )
    flat = [
        path(split, int(at))
        for split, pixels in (("train", data.train.pixels), ("val", data.val.pixels))
        # Corners first: most images are told by them.
        for at in np.flatnonzero((pixels[:, 0, 0] == pixels[:, -1, -1]).all(axis=1))
        if (pixels[at] == pixels[at, 0, 0]).all()
    ]
    if flat:
        yield f"images of one colour once they are read: {len(flat):,}, such as {flat[0]}"


def _common_side(headers: list[_Header]) -> int | None:
    """The side to resize large images and images of different sizes to; None keeps all."""
    sizes = {header.size for header in headers}
    if len(sizes) == 1 and max(sizes.pop()) <= _DEFAULT_SIDE_PIXELS:
        return None
    return min(_DEFAULT_SIDE_PIXELS, int(statistics.median(min(header.size) for header in headers)))
