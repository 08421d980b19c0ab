"""A user's own images: real files of every kind, and one clear line for the broken ones."""

import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data.folders import decode
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import DatasetError


def picture(path: Path, size: tuple[int, int] = (12, 12), mode: str = "RGB", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def album(root: Path, count: int = 20, suffix: str = "png", mode: str = "RGB") -> Path:
    for label in ("cat", "dog"):
        for i in range(count):
            picture(root / label / f"{i:03}.{suffix}", mode=mode, seed=i)
    return root


def test_classes_are_the_sub_folders(tmp_path: Path) -> None:
    dataset = load(str(album(tmp_path)))
    data = dataset.search
    assert data.classes == ("cat", "dog")
    assert data.shape == (3, 12, 12)
    assert len(data.train) + len(data.val) + len(dataset.open_test()) == 40
    assert data.flip


def test_reading_takes_little_more_memory_than_the_pixels(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(40):
            picture(tmp_path / label / f"{i}.png", size=(200, 200), seed=i)
    load(str(tmp_path), image_size=160, subset=8)  # what is imported only now is no image
    tracemalloc.start()
    try:
        search = load(str(tmp_path), image_size=160).search
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    decoded = search.train.pixels.nbytes + search.val.pixels.nbytes
    assert decoded == 64 * 160 * 160 * 3
    # A pixel that is counted takes eight bytes for a moment, of a million at once.
    assert peak < 1.3 * decoded + 9e6


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    data = load(str(album(tmp_path))).search
    files = [np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("*/*.png"))]
    known = {pixels.tobytes() for pixels in files}
    assert all(pixels.tobytes() in known for pixels in data.train.pixels)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("training", "validation", "testing")])
def test_split_folders_are_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, count in zip(names, (9, 5, 4), strict=True):
        album(tmp_path / name, count)
    dataset = load(str(tmp_path))
    sizes = len(dataset.search.train), len(dataset.search.val), len(dataset.open_test())
    assert sizes == (18, 10, 8)


def test_train_and_test_folders_leave_validation_to_be_carved_from_train(tmp_path: Path) -> None:
    album(tmp_path / "train", 20)
    album(tmp_path / "test", 5)
    dataset = load(str(tmp_path))
    assert (len(dataset.search.train), len(dataset.search.val)) == (32, 8)
    assert len(dataset.open_test()) == 10


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    album(tmp_path)
    for i in range(20):
        picture(tmp_path / "train" / f"{i}.png", seed=i)
    assert load(str(tmp_path)).search.classes == ("cat", "dog", "train")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "JPEG"])
def test_usual_formats_are_read(tmp_path: Path, suffix: str) -> None:
    assert load(str(album(tmp_path, suffix=suffix))).search.shape == (3, 12, 12)


def test_grey_images_stay_grey_unless_one_has_colour(tmp_path: Path) -> None:
    album(tmp_path, mode="L")
    assert load(str(tmp_path)).search.shape == (1, 12, 12)
    for path in sorted(tmp_path.glob("cat/*.png")):
        picture(path)
    assert load(str(tmp_path)).search.shape == (3, 12, 12)


def test_transparent_and_palette_images_become_colours(tmp_path: Path) -> None:
    album(tmp_path, mode="RGBA")
    picture(tmp_path / "cat" / "000.png", mode="P")
    assert load(str(tmp_path)).search.shape == (3, 12, 12)


def test_images_of_different_sizes_are_brought_to_one_which_it_tells(tmp_path: Path) -> None:
    album(tmp_path)
    for i in range(20):
        picture(tmp_path / "bird" / f"{i}.png", size=(30, 20), seed=i)
    dataset = load(str(tmp_path))
    assert dataset.image_size == 12
    assert dataset.search.shape == (3, 12, 12)


def test_image_size_resizes(tmp_path: Path) -> None:
    assert load(str(album(tmp_path)), image_size=8).search.shape == (3, 8, 8)


def test_images_that_are_not_square_stay_so(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(10):
            picture(tmp_path / label / f"{i}.png", size=(16, 10), seed=i)
    assert load(str(tmp_path)).search.shape == (3, 10, 16)


def test_a_subset_decodes_only_what_it_uses(tmp_path: Path) -> None:
    album(tmp_path, 40)
    whole = load(str(tmp_path), subset=20)
    assert len(whole.search.train) == 20
    used = {pixels.tobytes() for pixels in whole.search.train.pixels}
    used |= {pixels.tobytes() for pixels in whole.search.val.pixels}
    unused = next(
        path
        for path in sorted(tmp_path.glob("*/*.png"))
        if np.asarray(Image.open(path)).tobytes() not in used
    )
    unused.write_bytes(b"no image at all")
    assert load(str(tmp_path), subset=20).fingerprint == whole.fingerprint


def test_large_images_are_brought_to_64_pixels_unless_a_size_is_asked_for(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(10):
            picture(tmp_path / label / f"{i}.png", size=(100, 80), seed=i)
    assert load(str(tmp_path)).search.shape == (3, 64, 64)
    assert load(str(tmp_path), image_size=80).search.shape == (3, 80, 80)


def test_sixteen_bits_a_pixel_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 144).astype(np.uint16).reshape(12, 12)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.fromarray(ramp.T if i % 2 else ramp).save(tmp_path / label / f"{i}.png")
    data = load(str(tmp_path)).search
    assert data.shape == (1, 12, 12)
    found = {pixels.tobytes() for pixels in data.train.pixels}
    assert found == {(levels >> 8).astype(np.uint8).tobytes() for levels in (ramp, ramp.T)}


def test_thirty_two_bits_a_pixel_are_refused(tmp_path: Path) -> None:
    album(tmp_path)
    for path in sorted((tmp_path / "cat").iterdir()):
        Image.fromarray(np.ones((12, 12), dtype=np.float32)).save(path.with_suffix(".tiff"))
        path.unlink()
    with pytest.raises(DatasetError, match="32 bits a pixel"):
        load(str(tmp_path))


def test_split_folders_may_be_capitalised_and_come_from_a_mac(tmp_path: Path) -> None:
    album(tmp_path / "Train", 9)
    album(tmp_path / "Test", 4)
    (tmp_path / "__MACOSX").mkdir()
    assert len(load(str(tmp_path)).open_test()) == 8


def test_folders_beside_the_splits_and_splits_given_twice_are_named(tmp_path: Path) -> None:
    album(tmp_path / "train", 9)
    album(tmp_path / "extra", 9)
    with pytest.raises(DatasetError, match=r"extra stands beside .*train but is no split"):
        load(str(tmp_path))
    (tmp_path / "extra").rename(tmp_path / "training")
    with pytest.raises(DatasetError, match="two train folders"):
        load(str(tmp_path))


def test_a_class_needs_a_name_that_can_be_printed(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "cat").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(DatasetError, match="needs a printable name"):
        load(str(tmp_path))


def test_mirror_images_can_be_forbidden(tmp_path: Path) -> None:
    assert not load(str(album(tmp_path)), flip=False).search.flip


def test_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    album(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "cat" / "._000.png").write_bytes(b"rubbish")
    (tmp_path / ".git").mkdir()
    (tmp_path / "labels.csv").write_text("a,b")
    assert load(str(tmp_path)).search.classes == ("cat", "dog")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [truncate, lambda path: path.write_bytes(b""), lambda path: path.write_text("GIF89a?")],
    ids=["cut off", "empty", "no image"],
)
def test_a_broken_image_is_named(tmp_path: Path, damage: object) -> None:
    album(tmp_path)
    assert callable(damage)
    for path in sorted((tmp_path / "dog").iterdir()):
        damage(path)
    with pytest.raises(
        DatasetError, match=r"cannot decode 20 images: .*dog.*repair or delete them"
    ):
        load(str(tmp_path))


def test_a_decompression_bomb_is_refused_but_for_a_limit_that_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(tmp_path)
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(DatasetError, match=r"more than 100 pixels: --max-pixels allows more"):
        load(str(tmp_path), reading=Reading(max_pixels=100))
    assert before == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)  # Pillow refuses twice as many
    picture(tmp_path / "cat" / "large.png", (200, 1))
    assert load(str(tmp_path)).search.shape == (3, 12, 12)


def test_a_scan_of_108_megapixels_is_read(tmp_path: Path) -> None:
    album(tmp_path)
    scan = Image.new("L", (12_000, 9_000), 200)
    scan.paste(40, (0, 0, 6_000, 9_000))
    scan.save(tmp_path / "cat" / "scan.png", compress_level=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load(str(tmp_path), image_size=12)
    assert dataset.remarks == ()
    pixels = decode(tmp_path / "cat" / "scan.png", (12, 12), "L", dataset.reading)
    assert (pixels[:, :5] == 40).all()
    assert (pixels[:, 7:] == 200).all()


def test_a_folder_without_images_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no images in .*a sub-folder for each class"):
        load(str(tmp_path))
    picture(tmp_path / "loose.png")
    with pytest.raises(DatasetError, match="no images in"):
        load(str(tmp_path))


def test_a_test_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    album(tmp_path / "train")
    picture(tmp_path / "test" / "bird" / "0.png")
    with pytest.raises(DatasetError, match=r"bird is a class that the train folder does not have"):
        load(str(tmp_path))


def test_splits_without_train_are_refused(tmp_path: Path) -> None:
    album(tmp_path / "test")
    with pytest.raises(DatasetError, match="no train folder"):
        load(str(tmp_path))


def test_too_many_pixels_for_the_memory_are_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="give a smaller --image-size"):
        load(str(album(tmp_path)), image_size=100_000)
