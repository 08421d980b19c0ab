"""The data sets that come by name, and folders of a user's own images."""

from dataclasses import replace
from pathlib import Path

from trainers.data import Dataset, DatasetError
from trainers.datasets import digits, downloads, folders

__all__ = ["DatasetError", "load", "names"]

_DOWNLOADS = Path("~/.cache/convnas")


def names() -> tuple[str, ...]:
    """The data sets that can be asked for by name."""
    return (digits.NAME, *downloads.SOURCES)


def load(
    name: str,
    *,
    image_size: int | None = None,
    subset: int | None = None,
    data_dir: Path | None = None,
    kept: Path | None = None,
    flip: bool = True,
) -> Dataset:
    """Read a data set by name, or a folder of images by its path, decoded into memory.

    Args:
        name: one of `names`, or the path of a folder with a sub-folder of images for each class
            (or with train, val and test folders that have these).
        image_size: resize the images of a folder to this many pixels square.
        subset: see `trainers.data.make_dataset`.
        flip: False forbids mirror images, as of letters or signs, in training.
        data_dir: where downloads are kept; by default ``~/.cache/convnas``.
        kept: where a download may be found already; nothing is ever written there.

    Raises:
        DatasetError: it cannot be had; the message says why and what to do.
    """
    dataset = _load(name, image_size, subset, data_dir, kept)
    search = replace(dataset.search, flip=dataset.search.flip and flip)
    return replace(dataset, search=search)


def _load(
    name: str,
    image_size: int | None,
    subset: int | None,
    data_dir: Path | None,
    kept: Path | None,
) -> Dataset:
    named = name == digits.NAME or name in downloads.SOURCES
    if named and image_size is not None:
        raise DatasetError(f"--image-size resizes folders of images; {name} has a fixed size")
    if name == digits.NAME:
        return digits.load(subset)
    if name in downloads.SOURCES:
        return downloads.load(name, subset, data_dir or _DOWNLOADS, kept)
    if not name or not Path(name).is_dir():
        raise DatasetError(
            f"no data set {name!r}: give {', '.join(names())}, or the path of a folder of images"
        )
    return folders.load(Path(name), image_size, subset)
