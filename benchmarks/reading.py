"""What reading a folder of images takes: memory beside the pixels, and time.

    uv run python -m benchmarks.reading PHOTOS --image-size 160

Memory is the most that the process had, less what it had before it read anything.
"""

import argparse
import resource
import sys
import time

from nas_space.cli import Parser, positive, run
from trainers.data.registry import load


def main() -> int:
    """Read it and say so."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="a folder with a sub-folder of images for each class")
    parser.add_argument("--image-size", type=positive)
    given = parser.parse_args()
    before, begun = _peak_bytes(), time.perf_counter()
    data = load(given.images, image_size=given.image_size).search
    seconds, taken = time.perf_counter() - begun, _peak_bytes() - before
    pixels = data.train.pixels.nbytes + data.val.pixels.nbytes
    count = len(data.train) + len(data.val)
    print(f"{count:,} images, {pixels / 1e6:.0f} MB of pixels, read in {seconds:.1f} s")
    print(f"memory {taken / 1e6:.0f} MB, {taken / pixels:.2f} times the pixels")
    return 0


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    raise SystemExit(main())
