"""An image file is the same to the receiver of a network as it was in training."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nas_space.bundle import Preprocessing
from nas_space.bundle.source import source
from nas_space.pictures import channels_of, mode_of, values_of
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


PLAIN: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "contig"}


def tiff(top: int = 2**12, turn: int = 1, **how: object) -> Callable[[Path], None]:
    """A page of 5 values a pixel."""
    levels = noise(31, 20, 5, top=top).astype(np.uint8 if top == 2**8 else np.uint16)
    if how.get("planarconfig") == "separate":
        levels = levels.transpose(2, 0, 1)
    named = PLAIN | how | {"extratags": [(274, 3, 1, turn)]}

    def write(path: Path) -> None:
        tifffile.imwrite(path, levels, **named)

    return write


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
    "values": ("tif", tiff(2**8)),
    "values of 12 bits": ("tif", tiff()),
    "values, a plane each": ("tif", tiff(planarconfig="separate")),
    "values of 8 bits, a plane each, packed": (
        "tif",
        tiff(2**8, planarconfig="separate", compression="lzw"),
    ),
    "values, packed": ("tif", tiff(compression="zlib", predictor=True)),
    "values in tiles": ("tif", tiff(tile=(16, 16), compression="lzw")),
    "values in a large file": ("tif", tiff(bigtiff=True)),
    "values, the upper bits first": ("tif", tiff(byteorder=">")),
    "values, the first three colours": ("tif", tiff(2**8, photometric="rgb")),
    "values, turned": ("tif", tiff(turn=6)),
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


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_the_values_of_a_tiff_are_channels_upright(planes: str, turn: int, tmp_path: Path) -> None:
    tiff(turn=turn, planarconfig=planes)(tmp_path / "image.tif")
    levels = noise(31, 20, 5, top=2**12).astype(np.uint16)
    for channel, found in enumerate(channels_of(tmp_path / "image.tif", 12, earlier=False)):
        expected = Image.fromarray((levels[..., channel] // 16).astype(np.uint8))
        expected.getexif()[0x0112] = turn
        assert found.convert("L").tobytes() == ImageOps.exif_transpose(expected).tobytes()


@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("packed", [None, "lzw"])
def test_channels_that_pillow_leaves_out_are_read(
    count: int, planes: str, packed: str | None, tmp_path: Path
) -> None:
    levels = noise(9, 8, count).astype(np.uint8)
    written = levels.transpose(2, 0, 1) if planes == "separate" else levels
    named = PLAIN | {"planarconfig": planes, "compression": packed}
    tifffile.imwrite(tmp_path / "image.tif", written, **named)
    found = channels_of(tmp_path / "image.tif", 16, earlier=False)
    assert np.array_equal(np.stack(found, axis=2), levels)


def test_a_picture_of_a_tiff_is_pillows(tmp_path: Path) -> None:
    path, chance = tmp_path / "image.tif", noise(9, 8, 4).astype(np.uint8)
    for mode in ("L", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        Image.fromarray(chance).convert(mode).save(path)
        assert values_of(path) == 0


def test_smaller_copies_in_a_tiff_are_no_pages_of_it(tmp_path: Path) -> None:
    levels = noise(32, 32, 5).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(levels, **PLAIN)
        file.write(levels[::2, ::2], subfiletype=1, **PLAIN)
    assert channels_of(tmp_path / "image.tif", 16, earlier=False)[0].size == (32, 32)
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(levels, **PLAIN)
        file.write(levels[::2, ::2], **PLAIN)
    with pytest.raises(ValueError, match="a stack of pages of several values; save each"):
        channels_of(tmp_path / "image.tif", 16, earlier=False)


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        (np.zeros((9, 8, 5), np.float32), "its levels are float32; save them as uint8 or uint16"),
        (np.zeros((9, 8, 5), np.int16), "its levels are int16"),
        (np.zeros((4, 16, 16, 5), np.uint8), "its axes are ZYXS; save it as one image"),
    ],
    ids=["float", "signed", "volume"],
)
def test_values_of_a_tiff_without_a_known_range_are_refused(
    levels: NDArray[np.generic], reason: str, tmp_path: Path
) -> None:
    volume = {"volumetric": True, "tile": (4, 16, 16)} if levels.ndim == 4 else {}
    tifffile.imwrite(tmp_path / "image.tif", levels, **PLAIN | volume)
    with pytest.raises(ValueError, match=reason):
        reader(5, 16, tmp_path)(tmp_path / "image.tif")


def test_where_tifffile_is_missing_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiff()(tmp_path / "image.tif")
    read = reader(5, 16, tmp_path)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    said = r"a TIFF of 5 values a pixel needs tifffile: pip install 'convnas\[tiff\]', or tifffile"
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "image.tif")
    with pytest.raises(DatasetError, match=said):
        decode(tmp_path / "image.tif", (8, 9), mode_of(5), Reading(16))
    stack(tmp_path / "image.tif", 5)
    assert read(tmp_path / "image.tif").shape == (1, 5, 9, 8)


def test_where_imagecodecs_is_missing_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    tiff()(tmp_path / "plain.tif")
    tiff(compression="lzw")(tmp_path / "packed.tif")
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from nas_space.pictures import channels_of\n"
        "assert len(channels_of('plain.tif', 16, False)) == 5\n"
        "channels_of('packed.tif', 16, False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stderr.splitlines()[-1] == (
        "ValueError: how it is compressed needs imagecodecs: pip install 'convnas[tiff]', or "
        "tifffile and imagecodecs"
    )


@pytest.mark.parametrize("packed", [None, "lzw", "zlib"])
def test_a_damaged_tiff_of_values_is_refused_as_other_files_are(
    packed: str | None, tmp_path: Path
) -> None:
    tiff(compression=packed)(tmp_path / "whole.tif")
    whole, chance = (tmp_path / "whole.tif").read_bytes(), np.random.default_rng(0)
    refused = []
    for _ in range(60):
        damaged = bytearray(whole)
        for at in chance.integers(4, [300, len(whole)]):
            damaged[at] = chance.integers(256)
        (tmp_path / "image.tif").write_bytes(damaged)
        try:
            decode(tmp_path / "image.tif", (8, 9), mode_of(5), Reading(16))
        except DatasetError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert "\n" not in "".join(refused)


def test_a_tiff_of_a_few_bytes_that_says_it_is_large_is_refused(tmp_path: Path) -> None:
    tiff()(tmp_path / "image.tif")
    with tifffile.TiffFile(tmp_path / "image.tif", mode="r+") as file:
        tags: Any = file.pages[0].aspage().tags
        tags["ImageWidth"].overwrite(60_000)
        tags["ImageLength"].overwrite(60_000)
    with pytest.raises(DatasetError, match="more than 178,956,970 pixels: --max-pixels allows"):
        decode(tmp_path / "image.tif", (8, 9), mode_of(5), Reading(16))
