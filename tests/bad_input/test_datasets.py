"""Folders and images that cannot be learnt from: named in one line, and never executed."""

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies.export import command as export
from studies.records.store import Store
from tests.examples import evaluation, study
from tests.refusals import called, refusal, search
from trainers.data.registry import load

PHOTOS = Path("photos")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (9, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture(autouse=True)
def _photos(here: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(10):
            picture(here / PHOTOS / label / f"{i:02}.png", seed=i)


def said_of_photos(capsys: pytest.CaptureFixture[str]) -> str:
    # What were taken for sound would be refused for its size, at least.
    said = refusal(search("--dataset", "photos", "--max-params", "1"), capsys)
    assert not list(Path().glob("*.db"))
    return said


def png(width: int, height: int, body: bytes = b"\0" * 100) -> bytes:
    """A PNG that says it is of that size, whatever is in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + packed + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(hacked) (w) file closefile\nshowpage\n"

NO_IMAGES: dict[str, bytes] = {
    "empty": b"",
    "zeros": b"\0" * 100,
    "text": b"a photo of a dog",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "postscript": EPS,
    "html": b"<html><script>alert(1)</script></html>",
    "a program": b"#!/bin/sh\ntouch hacked\n",
    "png cut off": png(9, 9)[:45],
    "png of less than it says": png(9, 9),
    "png of no pixels": png(0, 0),
    "png of a bomb": png(60_000, 60_000),
    "png of a bomb beyond numbers": png(2**31 - 1, 2**31 - 1),
    "png of a smaller bomb": png(11_000, 11_000),
    "png of a long line": png(100_000, 1),
    "jpeg cut off": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "gif cut off": b"GIF89a" + b"\0" * 20,
    "tiff of rubbish": b"II*\0" + b"\xff" * 40,
    "bmp of rubbish": b"BM" + b"\xff" * 60,
    "webp of rubbish": b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\0" * 40,
    "ppm of a bomb": b"P6 99999999 99999999 255\n",
    "ppm of negative size": b"P6 -9 9 255\n",
    "ppm of words": b"P3 nine nine",
    "pgm of long numbers": b"P5 1 1 99999999999\n",
}


@pytest.mark.parametrize("data", NO_IMAGES.values(), ids=NO_IMAGES)
def test_a_file_that_is_no_image_whatever_its_name(
    data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    # Every one of the class: which images are set aside for the test is not looked at.
    for path in sorted((PHOTOS / "dog").iterdir()):
        path.write_bytes(data)
    said = said_of_photos(capsys)
    assert "cannot decode 10 images: photos/dog/00.png" in said
    assert "repair or delete them" in said
    assert not Path("hacked").exists()


SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("put", SPECIAL.values(), ids=SPECIAL)
def test_what_is_no_file_is_not_waited_for(
    put: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((PHOTOS / "dog").iterdir()):
        path.unlink()
        put(path)
    assert "09.png (it is no file); repair or delete them" in said_of_photos(capsys)


def call_dogs(name: str) -> Callable[[], object]:
    return lambda: (PHOTOS / "dog").rename(PHOTOS / name)


def replace(put: Callable[[], object]) -> Callable[[], object]:
    """Put something else where the folder was."""

    def run() -> None:
        PHOTOS.rename("before")
        put()

    return run


def make_all_tests() -> None:
    PHOTOS.rename("before")
    PHOTOS.mkdir()
    Path("before").rename(PHOTOS / "test")


def leave_two() -> None:
    for path in PHOTOS.glob("*/*"):
        if path.name > "01.png":
            path.unlink()


FOLDERS: dict[str, tuple[Callable[[], object], str]] = {
    "one class": (lambda: (PHOTOS / "dog").rename("dog"), "has one class; a classifier needs"),
    "no class": (replace(PHOTOS.mkdir), "no images in photos"),
    "a file": (replace(lambda: PHOTOS.write_text("")), "photos is no table that is read: save it"),
    "a link to itself": (replace(lambda: PHOTOS.symlink_to(PHOTOS)), "no data set 'photos'"),
    "a class without a line": (call_dogs("a\nb"), "'a\\nb' in photos needs a printable name"),
    "a class that moves the cursor": (call_dogs("\x1b[2J"), "needs a printable name"),
    "a class of other bytes": (call_dogs("\udcff"), "'\\udcff' in photos needs a printable"),
    "tests alone": (make_all_tests, "photos has a test folder but no train folder beside it"),
    "an archive": (
        replace(lambda: shutil.make_archive("photos", "zip", "before")),
        "no data set 'photos'",
    ),
    "too few images": (leave_two, "photos has too few images: none are left for"),
}


@pytest.mark.parametrize(("spoil", "reason"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_is_no_data_set(
    spoil: Callable[[], object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil()
    assert reason in said_of_photos(capsys)


@pytest.mark.parametrize("name", ["od\nd", "od\udcff", "\x1b[2J"], ids=ascii)
def test_a_folder_whose_name_cannot_be_kept(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    PHOTOS.rename(name)
    said = refusal(search("--dataset", name), capsys)
    assert "needs a printable name: studies keep it" in said


@pytest.mark.parametrize("size", ["999999999", "200000"])
def test_images_that_no_memory_holds(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(search("--dataset", "photos", "--image-size", size), capsys)
    assert "give a smaller --image-size" in said


def test_an_exported_network_is_no_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    Path("exported").mkdir()
    for name in ("weights.safetensors", "model.py", "README.md", "architecture.json"):
        Path("exported", name).write_text("{}")
    assert "no images in exported" in refusal(search("--dataset", "exported"), capsys)


def make_all(size: tuple[int, int]) -> Callable[[], object]:
    def run() -> None:
        for seed, path in enumerate(PHOTOS.glob("*/*.png")):
            picture(path, seed, size)

    return run


def print_dogs() -> None:
    for path in sorted((PHOTOS / "dog").iterdir()):
        path.unlink()
        Image.new("CMYK", (9, 9)).save(path.with_suffix(".jpg"))


def let_the_ground_through() -> None:
    for path in PHOTOS.glob("*/*.png"):
        Image.open(path).convert("P").save(path, transparency=b"\0\x80")


def name_oddly() -> None:
    for name in ("*", "-", "a,b", "[red]x[/]", " ", "..x", "é" * 100):
        shutil.copytree(PHOTOS / "cat", PHOTOS / name)


ODD: dict[str, Callable[[], object]] = {
    "a folder in a circle": lambda: (PHOTOS / "circle").symlink_to(".."),
    "a folder that links to itself": lambda: (PHOTOS / "self").symlink_to("self"),
    "images of one pixel": make_all((1, 1)),
    "images of one line": make_all((300, 1)),
    "no colours but inks": print_dogs,
    "a palette that lets the ground through": let_the_ground_through,
    "odd class names": name_oddly,
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_what_is_odd_but_sound_is_read_and_not_remarked_on(
    change: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    change()
    dataset = load("photos")
    assert len(dataset.search.train) > 0
    assert len(dataset.open_test()) > 0
    assert capsys.readouterr() == ("", "")


def stored(**changes: object) -> None:
    """A study here whose data set has these fields."""
    found = study("one")
    found.dataset = found.dataset | changes
    store = Store("sqlite:///convnas.db", create=True)
    owner = store.enter(found)
    store.record(evaluation(owner, 0, 0.9), lambda: b"no weights at all")
    store.close()


def exported(*arguments: str) -> Callable[[], int]:
    return called(export.main, "--knee", "--output", "o", *arguments)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "cifar10", "data_dir": "theirs"},
        {"name": "cifar100", "data_dir": "~/theirs"},
        {"name": "svhn", "data_dir": "a/../../theirs"},
        {"name": "svhn", "data_dir": "/dev/null/theirs"},
        {"name": "svhn", "data_dir": "a\0b"},
        {"name": "theirs", "data_dir": "theirs"},
        {"name": "../theirs"},
        {"name": "/proc/self/fd"},
        {"name": "a\u202eb"},
        {"name": "digits", "image_size": 9},
        {"name": "photos", "image_size": 10**9},
        {"name": "photos", "subset": 1},
    ],
    ids=str,
)
def test_a_study_from_a_stranger_makes_an_export_write_nowhere(
    fields: dict[str, object],
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # no network
    monkeypatch.setenv("HOME", str(here.parent))
    stored(**fields)
    refusal(exported(), capsys)
    # Only the user's own cache may have been made, for the download.
    assert {path.name for path in here.parent.iterdir()} <= {"here", ".cache"}
    assert {path.name.partition(".")[0] for path in here.iterdir()} == {"convnas", "photos"}


def test_a_data_set_that_changed_since_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    found = load("photos")
    stored(
        name="photos",
        fingerprint=found.fingerprint,
        shape=[3, 9, 9],
        flip=True,
        reading=found.reading.to_json(),
    )
    for seed, path in enumerate(PHOTOS.glob("*/*.png"), 99):
        picture(path, seed)
    assert "is not what study one was searched on" in refusal(exported(), capsys)


def test_images_that_were_moved_since_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    found = load("photos")
    before = str(PHOTOS.resolve())
    stored(name=before, fingerprint=found.fingerprint, shape=[3, 9, 9], flip=True)
    PHOTOS.rename("moved")
    said = refusal(exported(), capsys)
    assert f"study one are not in {before}: say where they are now, with --dataset PATH" in said
    # They are found there: what is said is about the weights.
    assert "weights" in refusal(exported("--dataset", "moved"), capsys)


def test_a_folder_below_that_of_the_user(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    for word in (("--dataset", "~/photos"), ("--dataset=~/photos",)):
        assert "--max-params" in refusal(search(*word, "--max-params", "1"), capsys)
    assert "no data set '~nobody/photos'" in refusal(search("--dataset=~nobody/photos"), capsys)


def test_weights_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    digits = load("digits")
    stored(fingerprint=digits.fingerprint)
    said = refusal(exported(), capsys)
    assert "the weights in the database are damaged" in said
    assert "add --retrain" in said
    assert not Path("o").exists()
