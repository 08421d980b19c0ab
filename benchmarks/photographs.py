"""Photograph-like JPEGs to measure with: small images made large, with the noise of a sensor.

    uv run python -m benchmarks.photographs CIFAR PHOTOS --side 160 --count 20000

CIFAR is a folder with a sub-folder of images for each class, as CIFAR-10's. What comes out has the
pixels and about the bytes of photographs, and no more detail than went in.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from nas_space.cli import Parser, positive, run

_NOISE_LEVELS = 4.0
_QUALITY = 85


def main() -> int:
    """Make them and say so."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="with a sub-folder for each class")
    parser.add_argument("photographs", type=Path, help="the folder to make")
    parser.add_argument("--side", type=positive, default=160, help="pixels (default: %(default)s)")
    parser.add_argument("--count", type=positive, default=20_000, help="(default: %(default)s)")
    given = parser.parse_args()
    classes = [sorted(group.iterdir()) for group in sorted(given.images.iterdir())]
    # One of each class in turn, so that a part has as many of each.
    files = list(islice(filter(None, chain(*zip_longest(*classes))), given.count))
    with ProcessPoolExecutor() as pool:
        make = partial(_make, folder=given.photographs, side=given.side)
        total = sum(pool.map(make, files, chunksize=100))
    print(f"{len(files):,} JPEGs of {given.side}×{given.side}, {total / len(files) / 1e3:.1f} kB")
    return 0


def _make(path: Path, folder: Path, side: int) -> int:
    """One of them; its bytes."""
    target = folder / path.parent.name / f"{path.stem}.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as small:
        large = small.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    chance = np.random.default_rng(list(path.name.encode()))
    noisy = np.asarray(large) + chance.normal(0, _NOISE_LEVELS, (side, side, 3))
    pixels = noisy.round().clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(target, quality=_QUALITY)
    return target.stat().st_size


if __name__ == "__main__":
    raise SystemExit(main())
