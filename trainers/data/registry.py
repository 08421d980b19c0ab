"""The data sets by name, a user's own images in folders and tables, or of a function."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from nas_space.plugins import is_path
from nas_space.registry import Entry, Registry, given
from nas_space.waiting import Say, silent
from trainers.data import arrays, digits, downloads, folders, listing
from trainers.data.listing import Lister
from trainers.data.reading import AS_IT_COMES, Reading
from trainers.data.splits import Dataset, DatasetError, Subset
from trainers.data.tables import files, hugging_face

__all__ = ["DATASETS", "DatasetError", "Loader", "load", "place_of"]

_DOWNLOADS = Path("~/.cache/convnas")


class Loader(Protocol):
    """Reads one data set."""

    def __call__(self, subset: Subset | None, data_dir: Path, kept: Path | None) -> Dataset:
        """The data set; see `load` for the arguments."""


def _digits(subset: Subset | None, data_dir: Path, kept: Path | None) -> Dataset:  # noqa: ARG001
    return digits.load(subset)


def _ours() -> Iterator[Entry[Loader]]:
    yield given(digits.NAME, _digits, digits.__name__)
    for name in downloads.SOURCES:
        yield given(name, partial(downloads.load, name), downloads.__name__)


DATASETS: Registry[Loader] = Registry(
    "data set",
    DatasetError,
    refusal="no data set {name}: give {names}, the path of a folder of images, of a table of paths "
    "and labels (.csv, .tsv, .parquet), or a function of yours as module:function",
    found=_ours,
)
"""The loaders of data sets, by name."""


def load(  # noqa: PLR0913 - each is a question of its own
    name: str,
    *,
    image_size: int | None = None,
    subset: int | Subset | None = None,
    data_dir: Path | None = None,
    kept: Path | None = None,
    flip: bool = True,
    reading: Reading = AS_IT_COMES,
    say: Say = silent,
) -> Dataset:
    """Read a data set by name, or a folder or a table of images by its path.

    Those of files are decoded into the cache folder, or into memory if that cannot be.

    Args:
        name: one of `DATASETS`, or the path of a folder with a sub-folder of images for each class
            (or with train, val and test folders that have these), or that of a table, see
            `trainers.data.tables.files`, or ``module:function`` of the user's own, see
            `trainers.data.arrays`.
        image_size: resize the images of files to this many pixels square.
        subset: how many images to use; a number is of training images, see `Subset.of`.
        flip: False trains on no mirror images, e.g. of letters or signs.
        reading: how the files of a folder are read; by default as suits them.
        data_dir: where downloads are kept; by default ``~/.cache/convnas``.
        say: gets the progress of decoding a folder.
        kept: where a download may be already; nothing is ever written there.

    Raises:
        DatasetError: it cannot be read; the message says why and what to do.
    """
    if isinstance(subset, int):
        subset = Subset.of(subset)
    lister = _lister(place_of(name)) if name and name not in DATASETS else None
    if lister is not None:
        dataset = folders.load(place_of(name), image_size, subset, reading, say, lister)
    elif is_path(name):
        _keeps_its_size(name, image_size)
        dataset = arrays.load(name, subset)
    else:
        dataset = _load(name, image_size, subset, data_dir, kept)
    search = replace(dataset.search, flip=dataset.search.flip and flip)
    return replace(dataset, search=search)


def place_of(name: str) -> Path:
    """The folder or file of that path; a shell leaves ~ to us in ``--dataset=~/photos``."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises for an unknown user


def _lister(place: Path) -> Lister | None:
    """What finds the images of what lies at a path; None if nothing does."""
    if place.is_dir():
        return hugging_face.listed if hugging_face.is_one(place) else listing.listed
    if place.suffix.lower() in files.SUFFIXES:
        if not place.is_file():
            raise DatasetError(f"there is no table {place}")
        return files.listed
    if place.is_file():
        kinds = ", ".join(files.SUFFIXES)
        raise DatasetError(f"{place} is no table that is read: save it as one of {kinds}")
    return None


def _load(
    name: str,
    image_size: int | None,
    subset: Subset | None,
    data_dir: Path | None,
    kept: Path | None,
) -> Dataset:
    read = DATASETS.get(name)
    _keeps_its_size(name, image_size)
    return read(subset, data_dir or _DOWNLOADS, kept)


def _keeps_its_size(name: str, image_size: int | None) -> None:
    if image_size is not None:
        raise DatasetError(
            f"--image-size resizes folders of images, and of tables; {name} has a fixed size"
        )
