"""CIFAR-10, CIFAR-100 and SVHN by torchvision, downloaded on first use."""

import contextlib
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data.splits import Dataset, DatasetError, Subset, make_dataset

_RGB = 3
_BROKEN = (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, tarfile.TarError)
"""Errors of torchvision without a network, without disk space, or with damaged files."""


@dataclass(frozen=True)
class Source:
    """A data set of torchvision.

    Attributes:
        kind: its class in `torchvision.datasets`.
        flip: whether a mirror image keeps its class.
        splits: arguments of that class for train and test.
    """

    kind: str
    flip: bool
    splits: tuple[Mapping[str, object], Mapping[str, object]]


_CIFAR = ({"train": True}, {"train": False})
SOURCES = {
    "cifar10": Source("CIFAR10", flip=True, splits=_CIFAR),
    "cifar100": Source("CIFAR100", flip=True, splits=_CIFAR),
    "svhn": Source("SVHN", flip=False, splits=({"split": "train"}, {"split": "test"})),
}


def load(name: str, subset: Subset | None, data_dir: Path, kept: Path | None = None) -> Dataset:
    """One of `SOURCES`, from the folder or from its authors' server.

    CIFAR's files are pickles; torchvision reads them only if their MD5 sums are correct.

    Args:
        name: one of `SOURCES`.
        subset: see `trainers.data.splits.make_dataset`.
        data_dir: where a download is kept; created if needed.
        kept: where the files may be already; nothing is ever written there.

    Raises:
        DatasetError: no network, no space, or a file that is damaged.
    """
    import torchvision.datasets  # noqa: PLC0415 - six seconds that only these data sets cost

    source = SOURCES[name]
    make: Callable[..., Any] = getattr(torchvision.datasets, source.kind)
    # torchvision prints where it downloads to
    with contextlib.redirect_stdout(None):
        found = _found(source, make, kept) if kept is not None else None
        train, test = found or _downloaded(name, source, make, data_dir)
    raw = {"train": train, "test": test}
    pixels = {split: _pixels(found) for split, found in raw.items()}
    return make_dataset(
        name,
        tuple(getattr(train, "classes", map(str, range(10)))),
        {split: _labels(found) for split, found in raw.items()},
        lambda split, positions: pixels[split][positions],
        flip=source.flip,
        subset=subset,
    )


def _found(source: Source, make: Callable[..., Any], folder: Path) -> tuple[Any, ...] | None:
    try:
        return tuple(make(root=folder, download=False, **split) for split in source.splits)
    except _BROKEN:
        return None


def _downloaded(
    name: str, source: Source, make: Callable[..., Any], folder: Path
) -> tuple[Any, ...]:
    try:
        folder.expanduser().mkdir(parents=True, exist_ok=True)
        return tuple(make(root=folder, download=True, **split) for split in source.splits)
    except _BROKEN as error:
        raise DatasetError(
            f"cannot get {name}: {str(error).splitlines()[0] if str(error) else error!r}; check "
            f"the network, delete a damaged file in {folder}, or give --dataset a folder"
        ) from None


def _pixels(raw: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - torchvision is untyped
    pixels: NDArray[np.uint8] = raw.data
    # CIFAR comes as (N, H, W, C), SVHN as (N, C, H, W).
    return pixels if pixels.shape[-1] == _RGB else pixels.transpose(0, 2, 3, 1)


def _labels(raw: Any) -> NDArray[np.int64]:  # noqa: ANN401 - torchvision is untyped
    return np.asarray(raw.targets if hasattr(raw, "targets") else raw.labels, dtype=np.int64)
