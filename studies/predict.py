"""`python -m studies.predict`: the classes of images, by an exported network."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from nas_space.bundle import Bundle, Preprocessing
from nas_space.cli import BACKBONE, Parser, expanded, positive
from nas_space.programs import program
from studies.cli import run
from trainers.arguments import add_pixels_argument
from trainers.data.folders import decode
from trainers.data.reading import MAX_PIXELS, Reading

_TOP_CLASSES = 3

Ranking = list[tuple[str, float]]
"""Classes with their probabilities, most probable first."""


def main() -> int:
    """Print the classes that an exported network sees in images."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.predict"),
        description="Say the most probable classes of images, by an exported network.",
    )
    parser.add_argument(
        "bundle", type=expanded, metavar="BUNDLE", help="an exported network's folder"
    )
    parser.add_argument("images", type=expanded, nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument(
        "--top",
        type=positive,
        default=_TOP_CLASSES,
        metavar="N",
        help="classes (default: %(default)s)",
    )
    add_pixels_argument(parser)
    parser.add_argument("--backbone", metavar="MODULE:FUNCTION", help=BACKBONE)
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.bundle, arguments.backbone)
    rankings = predict(bundle, arguments.images, arguments.max_pixels)
    shown = [(path, ranking[: arguments.top]) for path, ranking in rankings]
    if arguments.json:
        rows = [{"image": str(path), "classes": dict(top)} for path, top in shown]
        print(json.dumps(rows, indent=2, ensure_ascii=False))  # noqa: T201
        return 0
    for path, top in shown:
        told = ", ".join(f"{name} {share:.2%}" for name, share in top)
        print(f"{path}: {told}")  # noqa: T201
    return 0


def predict(
    bundle: Bundle, paths: Sequence[Path], max_pixels: int = MAX_PIXELS
) -> list[tuple[Path, Ranking]]:
    """The classes of each image file, ranked.

    Args:
        bundle: the network.
        paths: of the files.
        max_pixels: of an image.

    Raises:
        DatasetError: a file is no image.
    """
    # All images are decoded before the first answer: bad input leaves no half result.
    images = [_image(bundle.preprocessing, path, max_pixels) for path in paths]
    classes = bundle.preprocessing.classes
    found = []
    with torch.inference_mode():
        for path, image in zip(paths, images, strict=True):
            (shares,) = bundle.network(image).softmax(dim=1)
            order = shares.argsort(descending=True, stable=True).tolist()
            found.append((path, [(classes[i], float(shares[i])) for i in order]))
    return found


def _image(preprocessing: Preprocessing, path: Path, max_pixels: int) -> torch.Tensor:
    channels, height, width = preprocessing.shape
    reading = Reading(preprocessing.bits, max_pixels, preprocessing.earlier)
    pixels = decode(path, (width, height), "L" if channels == 1 else "RGB", reading)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255


if __name__ == "__main__":
    raise SystemExit(main())
