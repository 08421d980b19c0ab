"""Handwritten digits that come with scikit-learn: 1,797 real images of 8×8 pixels.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998 (its test half).
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data.splits import Dataset, Subset, make_dataset

NAME = "digits"
_SIDE_PIXELS = 8


def load(subset: Subset | None = None) -> Dataset:
    """The digits; their grey levels, 0 to 16, are scaled to 0 to 255."""
    table = _table()
    levels = table[:, :-1].reshape(-1, _SIDE_PIXELS, _SIDE_PIXELS, 1)
    pixels = np.round(levels * (255 / 16)).astype(np.uint8)
    labels = {"train": table[:, -1].astype(np.int64)}
    classes = tuple(map(str, range(10)))
    return make_dataset(
        NAME, classes, labels, lambda _, positions: pixels[positions], flip=False, subset=subset
    )


def _table() -> NDArray[np.float64]:
    """A row per image: 64 grey levels from 0 to 16, then the digit."""
    # Reading the file takes milliseconds; importing scikit-learn to read it takes seconds.
    package = find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            with gzip.open(file, "rt", encoding="ascii") as lines:
                return np.loadtxt(lines, delimiter=",")
    return _table_by_sklearn()


def _table_by_sklearn() -> NDArray[np.float64]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - only if its file is elsewhere

    raw = load_digits()
    return np.column_stack([raw.data, raw.target])
