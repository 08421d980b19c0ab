"""The classes of images, by an exported network."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nas_space.bundle import Bundle, Preprocessing
from nas_space.pictures import mode_of
from trainers.data.folders import decode
from trainers.data.reading import MAX_PIXELS, Reading

Ranking = list[tuple[str, float]]
"""Classes with their probabilities, most probable first."""


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
    pixels = decode(path, (width, height), mode_of(channels), reading)
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
