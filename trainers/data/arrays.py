"""Images that a function of the user's own gives as arrays: ``--dataset module:function``.

The function takes no arguments and returns a mapping:

- ``classes``: their names;
- ``train``: the pixels, uint8, (N, H, W) or (N, H, W, C), and the labels, whole numbers (N,) that
  are positions in ``classes``;
- ``val`` and ``test``: the same, each optional: what is missing is split from ``train``;
- ``flip``: optional, False if a mirror image does not keep its class.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_space.errors import error_line
from nas_space.plugins import own
from trainers.data.splits import Dataset, DatasetError, Images, Subset, alike, make_dataset

_SPLITS = ("train", "val", "test")
_COLOURS = (1, 3)
"""Channels of a grey image, and of one in colours."""
_KEYS = ("classes", *_SPLITS, "flip")


def load(name: str, subset: Subset | None = None) -> Dataset:
    """The data set that a function gives.

    Args:
        name: of the function, as ``module:function``.
        subset: see `trainers.data.splits.make_dataset`.

    Raises:
        DatasetError: there is no such function, it fails, or it gives something else.
    """
    function = own(name, f"--dataset {name}", DatasetError)
    try:
        found = function()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the function is the user's
        raise DatasetError(f"--dataset {name}: the function failed ({error_line(error)})") from None
    try:
        return _made(name, found, subset)
    except _OddError as error:
        raise DatasetError(f"--dataset {name}: {error} (docs/extending.md)") from None


class _OddError(DatasetError):
    """What a function gives is not what the module says."""


def _made(name: str, found: Any, subset: Subset | None) -> Dataset:  # noqa: ANN401 - the user's
    if not isinstance(found, Mapping) or not {"classes", "train"} <= found.keys():
        raise _OddError("the function must return a mapping with classes and train")
    unknown = ", ".join(sorted(map(str, found.keys() - set(_KEYS))))
    if unknown:
        raise _OddError(f"it gives {unknown}, and only {', '.join(_KEYS)} are known")
    if isinstance(found["classes"], str) or not isinstance(found["classes"], Iterable):
        raise _OddError("classes must be a list of names")
    classes = tuple(map(str, found["classes"]))
    if not all(name and name.isprintable() for name in classes):
        raise _OddError("a class has a name that cannot be printed")
    if len(set(classes)) < len(classes):
        raise _OddError("two classes have the same name")
    splits = {
        split: _images(split, found[split], len(classes)) for split in _SPLITS if split in found
    }
    if not isinstance(found.get("flip", True), bool | np.bool_):
        raise _OddError(f"flip must be True or False, not {found['flip']!r}")
    if alike(splits["train"].pixels):
        raise _OddError("all training images are alike: there is nothing to learn from them")
    shapes = {images.pixels.shape[1:] for images in splits.values()}
    if len(shapes) > 1:
        raise _OddError(f"its splits have images of different shapes: {sorted(shapes)}")
    return make_dataset(
        name,
        classes,
        {split: images.labels for split, images in splits.items()},
        lambda split, positions: splits[split].pixels[positions],
        flip=bool(found.get("flip", True)),
        subset=subset,
    )


def _images(split: str, given: Any, classes: int) -> Images:  # noqa: ANN401 - the user's
    if not isinstance(given, tuple | list) or len(given) != 2:  # noqa: PLR2004 - a pair
        raise _OddError(f"{split} must be a pair of pixels and labels")
    try:
        pixels, labels = map(np.asarray, given)
    except (TypeError, ValueError):
        raise _OddError(f"the pixels or the labels of {split} are no array") from None
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or not pixels.size:
        raise _OddError(
            f"the pixels of {split} must be uint8 of shape (N, H, W) or (N, H, W, C), not "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    with_channels = pixels.shape[1:] if pixels.ndim > 3 else ()  # noqa: PLR2004 - (N, H, W)
    first_is_colours = with_channels and with_channels[0] in _COLOURS
    if first_is_colours and with_channels[1] == with_channels[2] not in _COLOURS:
        raise _OddError(
            f"the pixels of {split} are of shape {pixels.shape}: put the channels last, with "
            "pixels.transpose(0, 2, 3, 1)"
        )
    return Images(pixels.reshape(*pixels.shape[:3], -1), _labels(split, labels, pixels, classes))


def _labels(
    split: str, labels: NDArray[Any], pixels: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu":
        raise _OddError(
            f"the labels of {split} must be whole numbers of shape ({len(pixels)},), not "
            f"{labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise _OddError(
            f"the labels of {split} must be from 0 to {classes - 1}, not "
            f"{labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64)
