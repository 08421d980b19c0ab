"""An image file is the same to the receiver of a network as it was in training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from nas_space.bundle import Preprocessing
from nas_space.bundle.source import source
from nas_space.spaces.registry import get
from tests.model_files import imported
from trainers.data.folders import decode


def noise(*shape: int, top: int = 256) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, top, shape)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.fromarray(noise(20, 31, 3).astype(np.uint8)).save(path, exif=exif)


FILES: dict[str, Callable[[Path], None]] = {
    "of the right size": lambda path: Image.fromarray(noise(9, 8, 3).astype(np.uint8)).save(path),
    "larger and oblong": lambda path: Image.fromarray(noise(50, 31, 3).astype(np.uint8)).save(path),
    "smaller": lambda path: Image.fromarray(noise(3, 4, 3).astype(np.uint8)).save(path),
    "grey": lambda path: Image.fromarray(noise(30, 30).astype(np.uint8)).save(path),
    "with transparency": lambda path: Image.fromarray(noise(9, 8, 4).astype(np.uint8)).save(path),
    "of a palette": lambda path: (
        Image.fromarray(noise(20, 20, 3).astype(np.uint8)).quantize(16).save(path)
    ),
    "of 16 bits": lambda path: Image.fromarray(noise(20, 20, top=2**16).astype(np.uint16)).save(
        path
    ),
    "turned": turned,
}


@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_it_is_decoded_as_for_training(
    write: Callable[[Path], None], channels: int, mode: str, tmp_path: Path
) -> None:
    task = Preprocessing((channels, 9, 8), (0.5,) * channels, (0.5,) * channels, ("a", "b"))
    (tmp_path / "model.py").write_text(source(get("regular").decode({}), task))
    write(tmp_path / "image.png")
    found = imported(tmp_path / "model.py").read_image(tmp_path / "image.png")
    pixels = torch.from_numpy(decode(tmp_path / "image.png", (8, 9), mode).copy())
    assert found.shape == (1, channels, 9, 8)
    assert torch.equal(found, pixels.permute(2, 0, 1)[None] / 255)
