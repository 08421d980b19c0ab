"""How far a JPEG that is decoded at a reduced scale is from the whole one, and how much faster.

    uv run python -m benchmarks.reduced_jpegs CIFAR

Pillow's `draft` leaves out the finest waves of each block of 8×8. Photographs of 640×480 are made
of twelve images of the folder each, with noise; both ways end at the same small size.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nas_space.cli import Parser, positive, run

_WIDTH, _HEIGHT, _TILE = 640, 480, 160


def main() -> int:
    """Measure it and say so."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="with a sub-folder for each class")
    parser.add_argument("--count", type=positive, default=30, help="photographs (default: 30)")
    given = parser.parse_args()
    files, chance = sorted(given.images.glob("*/*")), np.random.default_rng(0)
    photographs = [_photograph(files, chance) for _ in range(given.count)]
    for side in (32, 64, 96, 112):
        for margin in (1, 2):
            away, seconds = [], np.zeros(2)
            for photograph in photographs:
                whole, reduced = (_read(photograph, side, least) for least in (None, margin * side))
                away.append(np.abs(whole[0] - reduced[0]))
                seconds += whole[1], reduced[1]
            print(
                f"{side:3} pixels, decoded at {margin} times that or more: levels differ by "
                f"{np.mean(away):.2f} of 255 on average, {np.max(away)} at most; "
                f"{seconds[0] / seconds[1]:.1f} times as fast"
            )
    return 0


def _photograph(files: list[Path], chance: np.random.Generator) -> bytes:
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT))
    for y in range(0, _HEIGHT, _TILE):
        for x in range(0, _WIDTH, _TILE):
            with Image.open(files[chance.integers(len(files))]) as small:
                large = small.convert("RGB").resize((_TILE, _TILE), Image.Resampling.BICUBIC)
            canvas.paste(large, (x, y))
    noisy = np.asarray(canvas) + chance.normal(0, 4, (_HEIGHT, _WIDTH, 3))
    written = io.BytesIO()
    pixels = noisy.round().clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(written, "JPEG", quality=85)
    return written.getvalue()


def _read(photograph: bytes, side: int, least: int | None) -> tuple[NDArray[np.int64], float]:
    """Its pixels at that side, and seconds of CPU."""
    began = time.process_time()
    with Image.open(io.BytesIO(photograph)) as image:
        if least is not None:
            image.draft("RGB", (least * _WIDTH // _HEIGHT, least))
        fitted = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return np.asarray(fitted, dtype=np.int64), time.process_time() - began


if __name__ == "__main__":
    raise SystemExit(main())
