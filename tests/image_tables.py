"""Image files, and tables of them."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Rows = list[tuple[str, ...]]


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def album(root: Path, per_class: int = 10) -> Rows:
    """Files below a folder, and their labels: the folder says nothing of classes."""
    rows: Rows = []
    for at in range(2 * per_class):
        path = picture(root / "all" / f"{at:03}.png", seed=at)
        rows.append((str(path.relative_to(root)), "cat" if at < per_class else "dog"))
    return rows


def write(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], comma: str = ","
) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=comma).writerows([header, *rows])
    return str(path)
