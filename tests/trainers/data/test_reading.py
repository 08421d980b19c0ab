"""Nothing turns black, white or flat without a word, and what was read otherwise once stays so."""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from trainers.data.folders import decode
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import DatasetError

SIDE = 8
Write = Callable[[Path, NDArray[np.uint8]], object]


def album(root: Path, write: Write, suffix: str = ".png", size: tuple[int, int] = (8, 8)) -> Path:
    """Two classes of ten grey pictures of 8 bits, handed to a writer."""
    chance = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(10):
            pixels = chance.integers(0, 256, (size[1], size[0]), dtype=np.uint8)
            pixels[0, 0] = 255
            write(root / label / f"{i}{suffix}", pixels)
    return root


def plain(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path, lossless=True)


def in_sixteen(bits: int) -> Write:
    """Bits are kept from the top: of 12 bits the lower 4 are 0."""
    return lambda path, pixels: Image.fromarray(pixels.astype(np.uint16) << (bits - 8)).save(path)


def pgm(path: Path, pixels: NDArray[np.uint8]) -> None:
    header = b"P5\n%d %d\n65535\n" % pixels.shape[::-1]
    path.write_bytes(header + (pixels.astype(np.uint16) << 8).astype(">u2").tobytes())


def as_32_bits(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels.astype(np.int32) << 4).save(path)


def transparent(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Black, as far as it is seen."""
    black = np.zeros((*pixels.shape, 3), np.uint8)
    Image.fromarray(np.concatenate([black, 255 - pixels[..., None]], axis=-1)).save(path)


def png_of_16_bit_colours(path: Path, levels: NDArray[np.uint16]) -> None:
    """Pillow writes none."""
    height, width, _ = levels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(lines))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + packed + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("write", "suffix", "bits"),
    [
        (in_sixteen(8), ".png", 8),
        (in_sixteen(10), ".png", 10),
        (in_sixteen(12), ".tif", 12),
        (in_sixteen(16), ".png", 16),
        (pgm, ".pgm", 16),
        (as_32_bits, ".tif", 12),
    ],
)
def test_levels_are_scaled_by_what_the_images_hold(
    write: Write, suffix: str, bits: int, tmp_path: Path
) -> None:
    expected = load(str(album(tmp_path / "plain", plain))).search
    dataset = load(str(album(tmp_path / "wide", write, suffix)))
    assert dataset.reading == Reading(bits)
    assert np.array_equal(dataset.search.train.pixels, expected.train.pixels)
    # An export does not look at other images to decide it again.
    path = tmp_path / f"dark{suffix}"
    write(path, np.full((8, 8), 3, np.uint8))
    assert (decode(path, (8, 8), "L", dataset.reading) == 3).all()


def test_levels_beyond_those_of_the_training_are_told(tmp_path: Path) -> None:
    in_sixteen(16)(tmp_path / "a.png", np.full((8, 8), 99, np.uint8))
    with pytest.warns(RuntimeWarning, match="up to 25344: what 12 bits do not hold is white"):
        assert (decode(tmp_path / "a.png", (8, 8), "L", Reading(12)) == 255).all()


def test_colours_of_which_pillow_gives_too_few_bits_are_refused(tmp_path: Path) -> None:
    def write(shift: int) -> Write:
        return lambda path, pixels: png_of_16_bit_colours(
            path, np.repeat(pixels.astype(np.uint16)[..., None] << shift, 3, axis=2)
        )

    whole = load(str(album(tmp_path / "whole", write(8))))
    assert whole.reading == Reading(16)
    assert whole.search.train.pixels.max() == 255
    with pytest.raises(DatasetError, match=r"20 images: .*of 12 bits in 16 a colour Pillow"):
        load(str(album(tmp_path / "twelve", write(4))))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    expected = load(str(album(tmp_path / "plain", plain))).search
    data = load(str(album(tmp_path / "icons", transparent))).search
    assert data.shape == (3, 8, 8)
    assert np.array_equal(data.train.pixels, expected.train.pixels.repeat(3, axis=3))


def turned(path: Path, pixels: NDArray[np.uint8]) -> None:
    """The same picture, which its file asks to turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(
        path, exif=exif, lossless=True
    )


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("size", [(12, 8), (90, 60)])
def test_a_picture_has_its_size_after_the_turn(
    size: tuple[int, int], suffix: str, tmp_path: Path
) -> None:
    upright = load(str(album(tmp_path / "upright", plain, suffix, size)))
    lying = load(str(album(tmp_path / "turned", turned, suffix, size)))
    assert lying.search.shape == upright.search.shape
    assert lying.fingerprint == upright.fingerprint


def floats(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray((pixels / 255).astype(np.float32)).save(path)


def large_numbers(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels.astype(np.int32) << 20).save(path)


def negative(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(-pixels.astype(np.int32)).save(path)


def stack(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path, save_all=True, append_images=[Image.fromarray(pixels)] * 2)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (floats, "32 bits a pixel have no known range"),
        (large_numbers, "32 bits a pixel have no known range"),
        (negative, "32 bits a pixel have no known range"),
        (stack, "it is a stack of 3 pages; save each as a file of its own"),
    ],
)
def test_what_has_no_known_reading_is_refused_by_name(
    write: Write, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(str(album(tmp_path, write, ".tif")))
    said = str(caught.value)
    assert said.startswith(f"cannot decode 20 images: {tmp_path}/cat/0.tif, ")
    assert f"({reason}" in said
    assert said.endswith(" and 10 more; repair or delete them")


def test_all_broken_files_are_named_at_once_those_of_the_test_too(tmp_path: Path) -> None:
    album(tmp_path, plain)
    broken = [*sorted((tmp_path / "cat").iterdir())[:7], tmp_path / "dog" / "3.png"]
    for path in broken:
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match="cannot decode 8 images: ") as caught:
        load(str(tmp_path))
    assert all(str(path) in str(caught.value) for path in broken)


def test_of_several_pictures_in_a_file_the_first_is_read_and_told(tmp_path: Path) -> None:
    def write(path: Path, pixels: NDArray[np.uint8]) -> None:
        more = [Image.fromarray(255 - pixels)]
        Image.fromarray(pixels).save(path, save_all=True, append_images=more, default_image=False)

    expected = load(str(album(tmp_path / "plain", plain))).search
    dataset = load(str(album(tmp_path / "moving", write, ".apng")))
    assert np.array_equal(dataset.search.train.pixels[..., :1], expected.train.pixels)
    (told,) = dataset.remarks
    assert told.startswith("the first picture is read of 16 files that hold several: ")


def white_icons(path: Path, pixels: NDArray[np.uint8]) -> None:
    """White, where it is seen."""
    white = np.full((*pixels.shape, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([white, pixels[..., None]], axis=-1)).save(path)


def test_images_that_are_all_alike_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"13 training images of .* are all alike .* noth"):
        load(str(album(tmp_path, white_icons)))


def test_images_that_became_one_colour_are_told(tmp_path: Path) -> None:
    album(tmp_path, plain)
    for path in (tmp_path / "cat").iterdir():
        white_icons(path, np.full((8, 8), 7, np.uint8))
    (told,) = load(str(tmp_path)).remarks
    assert told.startswith("images of one colour once they are read: 8, such as ")


def test_an_earlier_study_is_read_as_it_was(tmp_path: Path) -> None:
    """By Pillow alone, as all files were then."""
    earlier = Reading.recorded(None)
    icons = load(str(album(tmp_path / "icons", transparent)), reading=earlier)
    assert icons.search.train.pixels.max() == 0
    assert icons.reading == earlier
    wide = load(str(album(tmp_path / "wide", in_sixteen(12))), reading=earlier).search
    plainly = load(str(album(tmp_path / "plain", plain))).search
    assert np.array_equal(wide.train.pixels, plainly.train.pixels >> 4)
    lying = load(str(album(tmp_path / "turned", turned, size=(12, 8))), reading=earlier).search
    assert lying.shape == (1, 12, 8)
    pages = load(str(album(tmp_path / "pages", stack, ".tif")), reading=earlier).search
    assert np.array_equal(pages.train.pixels, plainly.train.pixels)


def test_a_search_warns_of_nothing_where_nothing_is_wrong(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(str(album(tmp_path, in_sixteen(12)))).remarks == ()


def bands(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Six channels, of which the first is the picture."""
    channels = np.stack([pixels >> place for place in range(6)], axis=-1)
    if path.suffix == ".npy":
        np.save(path, channels)
    else:
        pages = [
            Image.fromarray(np.ascontiguousarray(page)) for page in channels.transpose(2, 0, 1)
        ]
        pages[0].save(path, save_all=True, append_images=pages[1:])


def as_array(shape: tuple[int, ...], dtype: type) -> Write:
    """The picture in an array of that shape after its height and width."""

    def write(path: Path, pixels: NDArray[np.uint8]) -> None:
        levels: NDArray[np.generic] = pixels.astype(dtype) * (16 if dtype is np.uint16 else 1)
        np.save(
            path,
            np.broadcast_to(
                levels.reshape(*pixels.shape, *(1 for _ in shape)), (*pixels.shape, *shape)
            ),
        )

    return write


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
def test_other_numbers_of_channels_are_read_as_they_are(suffix: str, tmp_path: Path) -> None:
    found = load(str(album(tmp_path / "bands", bands, suffix))).search
    grey = load(str(album(tmp_path / "plain", plain))).search
    assert found.shape == (6, 8, 8)
    for place in range(6):
        assert np.array_equal(found.train.pixels[..., [place]], grey.train.pixels >> place)
    smaller = load(str(album(tmp_path / "large", bands, suffix, size=(30, 20))), image_size=10)
    resized = load(str(album(tmp_path / "grey", plain, size=(30, 20))), image_size=10).search
    assert np.array_equal(smaller.search.train.pixels[..., :1], resized.train.pixels)


@pytest.mark.parametrize(
    ("shape", "channels"), [((), 1), ((1,), 1), ((2,), 2), ((3,), 3), ((4,), 4), ((7,), 7)], ids=str
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_in_files_are_images(
    shape: tuple[int, ...], channels: int, dtype: type, tmp_path: Path
) -> None:
    found = load(str(album(tmp_path / "arrays", as_array(shape, dtype), ".npy")))
    expected = load(str(album(tmp_path / "plain", plain))).search.train.pixels
    assert found.search.shape == (channels, 8, 8)
    # Of 12 bits the upper 8.
    assert np.array_equal(found.search.train.pixels, np.repeat(expected, channels, axis=-1))
    assert found.reading.bits == (12 if dtype is np.uint16 else 16)


@pytest.mark.parametrize("factor", [np.uint8(1), np.uint16(16)])
def test_the_values_of_a_pixel_of_a_tiff_are_its_channels(
    factor: np.uint8 | np.uint16, tmp_path: Path
) -> None:
    def write(path: Path, pixels: NDArray[np.uint8]) -> None:
        channels = [(pixels >> place) * factor for place in range(6)]
        levels = np.stack(channels, axis=-1)
        tifffile.imwrite(
            path, levels, photometric="minisblack", planarconfig="contig", compression="zlib"
        )

    found = load(str(album(tmp_path / "values", write, ".tif", size=(12, 8)))).search
    expected = load(str(album(tmp_path / "pages", bands, ".tif", size=(12, 8)))).search
    assert found.shape == (6, 8, 12)
    assert np.array_equal(found.train.pixels, expected.train.pixels)


def test_images_that_differ_in_channels_are_one_line(tmp_path: Path) -> None:
    album(tmp_path, plain)
    for path in (tmp_path / "cat").glob("?.png"):
        bands(path.with_suffix(".tif"), np.zeros((8, 8), np.uint8))
        path.unlink()
    with pytest.raises(DatasetError) as caught:
        load(str(tmp_path))
    said = str(caught.value).replace(str(tmp_path), "x")
    assert said.startswith("images differ in channels: 1 as in x/")
    assert ".png, 6 as in x/cat/" in said
    assert said.endswith(".tif; make them equal")


def test_arrays_beside_images_are_passed_over(tmp_path: Path) -> None:
    album(tmp_path, plain)
    before = load(str(tmp_path)).fingerprint
    for path in (tmp_path / "cat").iterdir():
        np.save(path.with_suffix(".npy"), np.zeros(512, np.float32))
    found = load(str(tmp_path))
    assert found.fingerprint == before
    assert found.remarks == ("files passed over: 10: 10 .npy",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.zeros((8, 8), np.float32), "it is no array of uint8 or uint16 and shape (H, W)"),
        (np.zeros((8,), np.uint8), "it is no array of uint8 or uint16 and shape (H, W)"),
        (np.zeros((0, 8), np.uint8), "it has the shape (0, 8), which must be (H, W, C)"),
        (np.zeros((5, 8, 8), np.uint8), "it has the shape (5, 8, 8), which must be (H, W, C), the"),
        (np.array([{"a": 1}]), "Array can't be memory-mapped: Python objects"),
    ],
)
def test_arrays_that_are_no_images_are_refused_by_name(
    content: NDArray[np.generic], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        load(str(album(tmp_path, lambda path, _: np.save(path, content), ".npy")))
    assert f"({reason}" in str(caught.value)
    assert str(caught.value).startswith("cannot decode 20 images: ")


def test_an_array_of_too_many_pixels_is_refused_too(tmp_path: Path) -> None:
    album(tmp_path, as_array((), np.uint8), ".npy")
    np.save(tmp_path / "cat" / "0.npy", np.zeros((30, 30), np.uint8))
    with pytest.raises(DatasetError, match=r"0.npy .it has more than 100 pixels: --max-pixels"):
        load(str(tmp_path), reading=Reading(max_pixels=100))
    (tmp_path / "cat" / "0.npy").write_bytes(b"\x93NUMPY\x01\x00rubbish")
    with pytest.raises(DatasetError, match=r"cannot decode the image .*0.npy"):
        load(str(tmp_path))
