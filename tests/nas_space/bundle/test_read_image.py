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
from nas_space.pictures import mode_of
from nas_space.spaces.registry import get
from tests.model_files import imported
from trainers.data.folders import decode
from trainers.data.reading import Reading
from trainers.data.splits import DatasetError


def noise(*shape: int, top: int = 256) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, top, shape)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.fromarray(noise(20, 31, 3).astype(np.uint8)).save(path, exif=exif)


def written(levels: NDArray[np.generic]) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(levels).save(path)


def icon(path: Path) -> None:
    """Black, as far as it is seen."""
    pixels = noise(20, 20, 4)
    pixels[..., :3] = 0
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def pgm(path: Path) -> None:
    path.write_bytes(b"P5\n20 20\n65535\n" + noise(20, 20, top=2**16).astype(">u2").tobytes())


def stack(path: Path, count: int = 3) -> None:
    pages = [Image.fromarray((noise(9, 8) >> page).astype(np.uint8)) for page in range(count)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def moving(path: Path) -> None:
    pictures = [Image.fromarray(noise(9, 8, 3).astype(np.uint8)), Image.new("RGB", (8, 9))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "of the right size": ("png", written(noise(9, 8, 3).astype(np.uint8))),
    "larger and oblong": ("png", written(noise(50, 31, 3).astype(np.uint8))),
    "smaller": ("png", written(noise(3, 4, 3).astype(np.uint8))),
    "grey": ("png", written(noise(30, 30).astype(np.uint8))),
    "with transparency": ("png", written(noise(9, 8, 4).astype(np.uint8))),
    "an icon": ("png", icon),
    "of a palette": (
        "png",
        lambda path: Image.fromarray(noise(20, 20, 3).astype(np.uint8)).quantize(16).save(path),
    ),
    "of 12 bits": ("png", written(noise(20, 20, top=2**12).astype(np.uint16))),
    "of 12 bits in 32": ("tif", written(noise(20, 20, top=2**12).astype(np.int32))),
    "of 16 bits, as PGM": ("pgm", pgm),
    "turned": ("png", turned),
    "a turned TIFF": ("tif", turned),
    "of several pictures": ("gif", moving),
    "a JPEG": ("jpg", written(noise(30, 30, 3).astype(np.uint8))),
}
BANDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "an array": ("npy", lambda path: np.save(path, noise(20, 31, 5).astype(np.uint8))),
    "an array of 12 bits": (
        "npy",
        lambda path: np.save(path, noise(9, 8, 5, top=2**12).astype(np.uint16)),
    ),
    "pages": ("tif", lambda path: stack(path, 5)),
}
REFUSED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "of numbers without a range": ("tif", written(noise(20, 20).astype(np.float32) / 255)),
    "a stack of pages": ("tif", stack),
    "not for pictures": ("eps", lambda path: Image.new("RGB", (9, 9)).save(path)),
}
BOTH = pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])


def reader(
    channels: int, bits: int, folder: Path, *, earlier: bool = False
) -> Callable[[Path], torch.Tensor]:
    task = Preprocessing(
        (channels, 9, 8), (0.5,) * channels, (0.5,) * channels, ("a", "b"), bits, earlier
    )
    (folder / "model.py").write_text(source(get("regular").decode({}), task))
    read: Callable[[Path], torch.Tensor] = imported(folder / "model.py").read_image
    return read


@pytest.mark.filterwarnings("ignore:an image has levels up to:RuntimeWarning")
@pytest.mark.parametrize(("suffix", "write"), FILES.values(), ids=FILES)
@pytest.mark.parametrize(("bits", "earlier"), [(12, False), (16, False), (16, True)])
@BOTH
def test_it_is_decoded_as_for_training(
    write: Callable[[Path], None],
    suffix: str,
    bits: int,
    earlier: bool,
    channels: int,
    mode: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"image.{suffix}"
    write(path)
    found = reader(channels, bits, tmp_path, earlier=earlier)(path)
    pixels = decode(path, (8, 9), mode, Reading(bits, earlier=earlier))
    assert found.shape == (1, channels, 9, 8)
    assert torch.equal(found, torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)
    assert earlier or pixels.min() < pixels.max()


@pytest.mark.parametrize(("suffix", "write"), REFUSED.values(), ids=REFUSED)
@BOTH
def test_what_training_refuses_it_refuses(
    write: Callable[[Path], None], suffix: str, channels: int, mode: str, tmp_path: Path
) -> None:
    path = tmp_path / f"image.{suffix}"
    write(path)
    with pytest.raises((ValueError, OSError)):
        reader(channels, 16, tmp_path)(path)
    with pytest.raises(DatasetError):
        decode(path, (8, 9), mode, Reading(16))


def test_an_earlier_export_goes_on_reading_as_it_did() -> None:
    task = {"shape": [1, 9, 8], "mean": [0.5], "std": [0.5], "classes": ["a", "b"]}
    found = Preprocessing.from_json(task)
    assert (found.bits, found.earlier) == (16, True)
    assert not Preprocessing.from_json(task | {"bits": 12, "earlier": False}).earlier


@pytest.mark.parametrize(("suffix", "write"), BANDS.values(), ids=BANDS)
def test_other_numbers_of_channels_are_as_in_training(
    write: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"image.{suffix}"
    write(path)
    found = reader(5, 12, tmp_path)(path)
    pixels = decode(path, (8, 9), mode_of(5), Reading(12))
    assert np.array_equal(found[0].permute(1, 2, 0).numpy() * 255, pixels)
    assert len({pixels[..., channel].tobytes() for channel in range(5)}) == 5
    for channels, said in ((3, "it has 5 channels: it is neither grey nor RGB"), (7, "not 7")):
        with pytest.raises(ValueError, match=said):
            reader(channels, 12, tmp_path)(path)
    Image.new("RGB", (9, 9)).save(tmp_path / "rgb.png")
    with pytest.raises(ValueError, match="it has 3 channels, not 5"):
        reader(5, 12, tmp_path)(tmp_path / "rgb.png")
