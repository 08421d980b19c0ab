"""Handwritten digits that come with scikit-learn: 1,797 real images of 8×8 pixels.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998 (its test half).
"""

import numpy as np

from trainers.data import Dataset, make_dataset

NAME = "digits"


def load(subset: int | None = None) -> Dataset:
    """The digits; their sixteen grey levels are stretched to 0 to 255."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second that only digits cost

    raw = load_digits()
    pixels = np.round(raw.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = {"train": raw.target.astype(np.int64)}
    classes = tuple(str(name) for name in raw.target_names)
    return make_dataset(
        NAME, classes, labels, lambda _, positions: pixels[positions], flip=False, subset=subset
    )
