"""No class and no file of a folder disappears without a word."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import Dataset, DatasetError

CHANCE = np.random.default_rng(0)


def picture(path: Path, kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(CHANCE.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path, kind)


def pictures(folder: Path, suffix: str = ".png", kind: str | None = None, count: int = 10) -> None:
    for i in range(count):
        picture(folder / f"{i}{suffix}", kind)


@pytest.fixture(autouse=True)
def photos(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        pictures(tmp_path / "photos" / label)
    return tmp_path / "photos"


def count(dataset: Dataset) -> int:
    return len(dataset.search.train) + len(dataset.search.val) + len(dataset.open_test())


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jfif", "JPEG"),
        (".JPE", "JPEG"),
        (".apng", "PNG"),
        (".pbm", "PPM"),
        (".jp2", "JPEG2000"),
        (".avif", "AVIF"),
        ("", "JPEG"),
    ],
)
def test_files_of_every_suffix_that_pillow_reads_are_taken(
    suffix: str, kind: str, photos: Path
) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    pictures(photos / "owl", suffix, kind)
    dataset = load(str(photos))
    assert dataset.search.classes == ("cat", "dog", "owl")
    assert count(dataset) == 30
    assert dataset.remarks == ()


def test_what_is_passed_over_is_counted_by_suffix_in_one_line(photos: Path) -> None:
    for i in range(3):
        (photos / "cat" / f"{i}.HEIC").write_bytes(b"heic")
    (photos / "dog" / "LICENSE").write_text("free")
    (photos / "dog" / "bomb").write_bytes(b"P6 99999 99999 255\n")
    (photos / "labels.csv").write_text("a,b")
    (photos / "dog" / "more").symlink_to(photos / "cat")
    (photos / "dog" / ".DS_Store").write_bytes(b"a Mac's own")
    (photos / "dog" / "odd.\x1b[2J").write_text("moves the cursor")
    dataset = load(str(photos))
    (told,) = dataset.remarks
    assert told == (
        "files passed over: 8: 3 .heic, 2 without suffix, 1 .csv beside the classes, 1 links to "
        "folders, 1 .\\x1b[2j"
    )
    assert count(dataset) == 20


def new(folder: Path) -> Path:
    folder.mkdir()
    return folder


LOST: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda root: (root / "owl").mkdir(), "owl holds nothing"),
    "a link to nothing": (
        lambda root: (root / "owl").symlink_to(root / "nowhere"),
        "owl is a link to nothing",
    ),
    "a link back": (lambda root: (root / "owl").symlink_to(root.parent), "owl leads back to "),
    "a link to itself": (lambda root: (root / "owl").symlink_to("owl"), "owl is a link to nothing"),
    "no images": (
        lambda root: (root / "cat" / "9.png").replace(new(root / "owl") / "a.psd"),
        "owl holds no image",
    ),
}


@pytest.mark.parametrize(("spoil", "why"), LOST.values(), ids=LOST)
def test_a_folder_that_gives_no_class_is_named(
    spoil: Callable[[Path], object], why: str, photos: Path
) -> None:
    spoil(photos)
    dataset = load(str(photos))
    assert dataset.search.classes == ("cat", "dog")
    assert dataset.remarks[0].startswith(f"not read as classes: {photos}/{why}")


def test_folders_inside_a_class_are_read_and_told(photos: Path) -> None:
    pictures(photos / "owl" / "images" / "2026")
    pictures(photos / "owl" / "__MACOSX")
    dataset = load(str(photos))
    assert dataset.search.classes == ("cat", "dog", "owl")
    assert count(dataset) == 30
    assert dataset.remarks == ("images in folders inside a class are of that class: owl (10)",)


def test_one_class_is_refused_with_what_stands_beside_it(photos: Path) -> None:
    (photos / "dog").rename(photos.parent / "dog")
    (photos / "owl").mkdir()
    with pytest.raises(DatasetError, match=r"one class; .* least 2; not read as .*owl holds noth"):
        load(str(photos))
    # The folder above: its one folder holds the classes.
    (photos.parent / "dog").rename(photos / "dog")
    with pytest.raises(DatasetError, match=r"one class; .* inside a class .*: photos \(20\)"):
        load(str(photos.parent))


def test_two_spellings_of_one_name_in_unicode_are_one_class(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):
        for label in ("café", "tea"):
            pictures(tmp_path / "all" / split / unicodedata.normalize(form, label))  # type: ignore[arg-type]
    data = load(str(tmp_path / "all")).search
    assert data.classes == (unicodedata.normalize("NFC", "café"), "tea")
    assert sorted(data.val.labels) == [0] * 10 + [1] * 10


def test_a_class_that_a_split_lacks_is_named(tmp_path: Path) -> None:
    for split, labels in {"train": "abc", "val": "ab", "test": "abc"}.items():
        for label in labels:
            pictures(tmp_path / "all" / split / label, count=3)
    (tmp_path / "all" / "extra").symlink_to("nowhere")
    first, second = load(str(tmp_path / "all")).remarks
    assert first.endswith("extra is a link to nothing")
    assert second == "classes without an image in val: c"


def test_an_earlier_study_has_the_files_that_it_had(photos: Path) -> None:
    before = load(str(photos))
    pictures(photos / "cat", ".jfif", "JPEG")
    pictures(photos / "owl" / "images")
    (photos / "empty").mkdir()
    again = load(str(photos), reading=Reading.recorded(None))
    assert again.fingerprint == before.fingerprint
    assert again.remarks == ()
    assert count(load(str(photos))) == 40
