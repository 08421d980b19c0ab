"""Labelled images as plain arrays, and their train, validation and test splits."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas_space.errors import ConvnasError
from nas_space.pictures import BITS
from trainers.data.mapped import FilePart
from trainers.data.reading import Reading

_SPLIT_SEED = 20190410
"""Seeds every split, so that a data set is always split in the same way."""
_MANY_IMAGES = 20_000
"""With this many images a tenth is enough for validation; fewer images give a fifth."""
_COUNTED_PIXELS = 2**20
"""At once: numpy makes eight bytes of each."""
_LEAST_STD = 1e-3
_LEAST_VAL_IMAGES = 250
"""Of a subset, if there are so many."""


class DatasetError(ConvnasError):
    """A data set that cannot be read; the message says what to do about it."""


@dataclass(frozen=True, eq=False, slots=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: uint8, (N, H, W, C).
        labels: int64, (N,): positions in the list of classes.
        file: where the pixels are, if they are in a file. To other processes of this machine it is
            sent in place of the pixels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    file: FilePart | None = None

    @classmethod
    def of(cls, pixels: NDArray[np.uint8] | FilePart, labels: NDArray[np.int64]) -> Self:
        """Images whose pixels are in memory or in a file.

        Raises:
            GoneError: the file is not there.
        """
        if isinstance(pixels, FilePart):
            return cls(pixels.open(), labels, pixels)
        return cls(pixels, labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of, (self.pixels if self.file is None else self.file, self.labels)


@dataclass(frozen=True, eq=False, slots=True)
class SearchData:
    """All that a search may see of a data set: no test images.

    Attributes:
        name: what the user calls it, or the folder it was read from.
        classes: names of the classes, in the order of the labels.
        train: images to fit the weights.
        val: images that guide the search.
        mean: mean of each channel of train, on the scale 0 to 1.
        std: standard deviation of each channel of train, on the same scale.
        flip: whether a mirror image keeps its class (true of photographs, false of digits).
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    val: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width

    def in_memory(self) -> "SearchData":
        """The same, whose pixels travel themselves: for machines that do not have the file."""
        train, val = (Images(part.pixels, part.labels) for part in (self.train, self.val))
        return replace(self, train=train, val=val)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of the pixels of a data set once all have been looked at.

    Attributes:
        mean: see `SearchData`.
        std: see `SearchData`.
        fingerprint: see `Dataset`.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str

    @classmethod
    def of(cls, classes: tuple[str, ...], train: Images, val: Images) -> Self:
        """Look at all pixels, a part at a time."""
        return cls(*moments(train.pixels), fingerprint(classes, train, val))


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """A data set whose test images stay closed until an exported network is measured.

    Attributes:
        search: the train and validation splits.
        open_test: decodes the images that no search and no training has seen.
        fingerprint: twelve hex digits that change with any pixel or label that a search sees.
        image_size: side to which images were resized; None if they were not.
        subset: which part of the images it is; None is all.
        reading: how its image files were read; of a data set without files, how others are.
        remarks: lines about what of it is not read, or looks odd.
    """

    search: SearchData
    open_test: Callable[[], Images]
    fingerprint: str
    image_size: int | None = None
    subset: "Subset | None" = None
    reading: Reading = Reading(BITS)  # noqa: RUF009 - it is frozen
    remarks: tuple[str, ...] = ()


Positions = NDArray[np.int64]
SplitLabels = Mapping[str, NDArray[np.int64]]
"""The labels of each split of a data set: train, and val and test if it has them."""


@dataclass(frozen=True, slots=True)
class Subset:
    """How many images to use at most.

    Attributes:
        train: of the training split.
        val: of the validation split. One is a third of the work of a training image in one epoch,
            and every one makes accuracies more certain: 1,250 images leave ± 2.8 points of 50 %,
            5,000 leave ± 1.4.
    """

    train: int
    val: int

    @classmethod
    def of(cls, train: int, val: int | None = None) -> "Subset":
        """As many validation images as training images, if not given; at least 250."""
        return cls(train, max(train, _LEAST_VAL_IMAGES) if val is None else val)

    @classmethod
    def earlier(cls, train: int) -> "Subset":
        """As studies of before 2026-12 took them: a quarter as many validation images."""
        return cls(train, max(train // 4, _LEAST_VAL_IMAGES))


def make_dataset(  # noqa: PLR0913 - each is a question of its own
    name: str,
    classes: tuple[str, ...],
    labels: SplitLabels,
    decode: Callable[[str, Positions], NDArray[np.uint8] | FilePart],
    *,
    flip: bool,
    subset: Subset | None = None,
    image_size: int | None = None,
    known: Statistics | None = None,
) -> Dataset:
    """Make a data set, and decode only the images that it uses.

    Args:
        name: see `SearchData`.
        classes: see `SearchData`.
        labels: see `SplitLabels`; missing splits are carved out of train.
        decode: gives the pixels (N, H, W, C) at some positions of one of these splits, or where
            they are.
        flip: see `SearchData`.
        subset: None takes all images.
        image_size: see `Dataset`.
        known: if they were computed before.

    Raises:
        DatasetError: too few images or classes to train on.
    """
    if len(classes) < 2:  # noqa: PLR2004 - a choice needs two
        raise DatasetError(f"{name} has one class; a classifier needs at least 2")
    splits = split_positions(labels, subset)
    present = {split: set(labels[source][at].tolist()) for split, (source, at) in splits.items()}
    absent = set(range(len(classes))) - present["train"]
    if absent or not present["val"] or not present["test"]:
        where = f"class {classes[min(absent)]!r}" if absent else "validation or test"
        raise DatasetError(f"{name} has too few images: none are left for {where}")

    def images(split: str) -> Images:
        source, positions = splits[split]
        return Images.of(decode(source, positions), labels[source][positions])

    train, val = images("train"), images("val")
    seen = known or Statistics.of(classes, train, val)
    search = SearchData(name, classes, train, val, seen.mean, seen.std, flip=flip)
    return Dataset(search, lambda: images("test"), seen.fingerprint, image_size, subset)


def alike(pixels: NDArray[np.uint8]) -> bool:
    """Whether all of some images (N, H, W, C) are the same one."""
    return all(np.array_equal(image, pixels[0]) for image in pixels)


def moments(pixels: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on the scale 0 to 1.

    They need no copy of the pixels: each level is counted.

    Args:
        pixels: (N, H, W, C).
    """
    flat = pixels.reshape(-1, pixels.shape[-1])
    counts = np.zeros((flat.shape[1], 256), dtype=np.int64)
    for start in range(0, len(flat), _COUNTED_PIXELS):
        for channel, values in enumerate(flat[start : start + _COUNTED_PIXELS].T):
            counts[channel] += np.bincount(values, minlength=256)
    levels = np.arange(256)
    mean = counts @ levels / len(flat)
    variance = (counts * (levels - mean[:, None]) ** 2).sum(axis=1) / len(flat)
    std = np.maximum(np.sqrt(variance) / 255, _LEAST_STD)
    return tuple((mean / 255).tolist()), tuple(std.tolist())


def split_positions(labels: SplitLabels, subset: Subset | None) -> dict[str, tuple[str, Positions]]:
    """For train, val and test: the original split and the positions of their images.

    Without a test split, a fifth of train becomes test. Then, without validation, a fifth of the
    rest does (a tenth of 20,000 images or more). Both are stratified by class and always the same.
    With a subset test stays whole.
    """
    splits = {split: (split, np.arange(len(found))) for split, found in labels.items()}
    for split in ("test", "val"):
        if split not in splits:
            rest = splits["train"][1]
            share = 10 if split == "val" and len(rest) >= _MANY_IMAGES else 5
            kept, carved = _carve(labels["train"], rest, len(rest) // share)
            splits["train"], splits[split] = ("train", kept), ("train", carved)
    if subset is not None:
        for split, most in (("train", subset.train), ("val", subset.val)):
            source, positions = splits[split]
            if most < len(positions):
                splits[split] = source, _carve(labels[source], positions, most)[1]
    return splits


def _carve(
    labels: NDArray[np.int64], positions: Positions, count: int
) -> tuple[Positions, Positions]:
    """Split positions into (rest, carved): carved has that many, in proportion from each class."""
    order = positions[np.random.default_rng(_SPLIT_SEED).permutation(len(positions))]
    # Rank every image in its class, then take the images of lowest relative rank: each class gives
    # the same share, up to one image.
    ranks = np.empty(len(order))
    for label in np.unique(labels[order]):
        members = np.flatnonzero(labels[order] == label)
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)
    by_rank = order[np.argsort(ranks, kind="stable")]
    return np.sort(by_rank[count:]), np.sort(by_rank[:count])


def fingerprint(classes: tuple[str, ...], *splits: Images) -> str:
    """Twelve hex digits that change with any pixel, label or class."""
    digest = hashlib.sha256("\0".join(classes).encode())
    for split in splits:
        digest.update(repr(split.pixels.shape).encode())
        digest.update(np.ascontiguousarray(split.pixels).data)
        digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()[:12]
