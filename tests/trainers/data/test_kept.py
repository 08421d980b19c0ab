"""Decoded images in the cache folder: made once, never stale, and mended if they are damaged."""

import contextlib
import itertools
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.small_disk import small_disk
from trainers.data import batches, decoding, folders, kept
from trainers.data import cache as cache_of
from trainers.data.batches import Batches
from trainers.data.mapped import GoneError
from trainers.data.reading import Reading
from trainers.data.registry import load
from trainers.data.splits import Dataset, DatasetError, SearchData

SIDE = 16


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("CONVNAS_IMAGES", str(tmp_path / "kept"))
    return tmp_path / "kept"


def draw(path: Path, seed: int, side: int = SIDE) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, compress_level=1)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        for i in range(60):
            draw(tmp_path / "album" / label / f"{i:02}.bmp", seed=i)
    return tmp_path / "album"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded."""
    seen: list[Path] = []
    before = decoding.decode_file

    def watched(path: Path, how: decoding.Decoding) -> object:
        seen.append(path)
        return before(path, how)

    monkeypatch.setattr(decoding, "decode_file", watched)
    return seen


def in_memory(album: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    with monkeypatch.context() as patch:
        patch.setenv("CONVNAS_IMAGES", "0")
        return load(str(album))


def same(one: Dataset, other: Dataset) -> bool:
    pairs = ((one.search.train, other.search.train), (one.search.val, other.search.val))
    return (
        all(np.array_equal(a.pixels, b.pixels) for a, b in pairs)
        and one.fingerprint == other.fingerprint
        and (one.search.mean, one.search.std) == (other.search.mean, other.search.std)
        and (one.reading, one.image_size) == (other.reading, other.image_size)
        and one.remarks == other.remarks
    )


def test_a_second_run_gives_the_same_and_opens_no_image(
    album: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = in_memory(album, monkeypatch)
    first = load(str(album))
    decoded.clear()

    def unwanted(*_: object) -> None:
        raise AssertionError("a header was read")

    monkeypatch.setattr(folders, "_header", unwanted)
    assert same(plain, first)
    assert same(plain, load(str(album)))
    assert not decoded
    assert plain.search.train.file is None
    assert first.search.train.file is not None
    assert np.array_equal(plain.open_test().pixels, first.open_test().pixels)


@given(
    st.lists(
        st.tuples(st.sampled_from(["draw", "remove"]), st.integers(0, 14), st.integers(0, 3)),
        max_size=4,
    )
)
@settings(max_examples=15)
def test_after_any_changes_the_pixels_are_those_of_the_files(
    changes: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        album = Path(name, "album")
        for label, first in (("cat", 0), ("dog", 100)):
            for i in range(12):
                draw(album / label / f"{i}.bmp", seed=first + i, side=4)
        patch.setenv("CONVNAS_IMAGES", f"{name}/kept")
        load(str(album))
        for kind, number, seed in changes:
            path = album / "cat" / f"{number}.bmp"
            if kind == "draw":
                draw(path, seed, side=4)
            else:
                path.unlink(missing_ok=True)
            assert same(load(str(album)), in_memory(album, patch))


def rewritten(path: Path) -> None:
    """The same size and the same time of change as before, and other pixels."""
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-100] + bytes(255 - byte for byte in content[-100:]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize(
    "change",
    [
        rewritten,
        lambda path: draw(path, seed=999),
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("zz.bmp")),
        lambda path: draw(path.with_name("new.bmp"), seed=999),
    ],
    ids=["rewritten", "drawn", "removed", "renamed", "added"],
)
def test_no_change_of_the_files_goes_unseen(
    change: Callable[[Path], None],
    album: Path,
    decoded: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load(str(album))
    decoded.clear()
    change(album / "cat" / "07.bmp")
    after = load(str(album))
    # Where names or their number change, some of the test images come to the others.
    assert len(decoded) < 120 / 4
    assert same(after, in_memory(album, monkeypatch))
    assert after.fingerprint != before.fingerprint


def test_only_an_image_that_changed_or_is_new_is_decoded(
    tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    album = tmp_path / "album"
    for seed, (split, label) in enumerate(itertools.product(("train", "val", "test"), "ab")):
        for i in range(50):
            draw(album / split / label / f"{i:02}.bmp", seed=seed * 100 + i)
    load(str(album))
    changed, new = album / "train" / "b" / "30.bmp", album / "val" / "a" / "07b.bmp"
    draw(changed, seed=999)
    draw(new, seed=998)
    (album / "train" / "a" / "00.bmp").unlink()
    decoded.clear()
    after = load(str(album))
    assert decoded == [changed, new]
    assert same(after, in_memory(album, monkeypatch))


@pytest.mark.parametrize("reading", [Reading(earlier=True), Reading(bits=16)])
def test_each_way_of_reading_is_kept_for_itself(
    reading: Reading, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in album.glob("*/*.bmp"):
        chance = np.random.default_rng(int(path.stem))
        levels = chance.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
        levels[0, 0] = 4095
        Image.fromarray(levels).save(path.with_suffix(".png"))
        path.unlink()
    assert load(str(album)).reading == Reading(bits=12)
    plain = load(str(album), reading=reading)
    with monkeypatch.context() as patch:
        patch.setenv("CONVNAS_IMAGES", "0")
        assert same(plain, load(str(album), reading=reading))


def test_the_order_of_images_counts_wherever_they_lie(tmp_path: Path) -> None:
    draw(tmp_path / "a.bmp", seed=0)
    os.link(tmp_path / "a.bmp", tmp_path / "b.bmp")  # of the same size and the same times
    files = [tmp_path / "a.bmp", tmp_path / "b.bmp"]
    for root in (tmp_path, tmp_path / "a-table-of-paths.csv"):
        assert kept.digest_of(root, files) != kept.digest_of(root, files[::-1])


def pixel_files(cache: Path) -> list[Path]:
    """The largest, which is of the training images, comes first."""
    return sorted(cache.glob("*.pixels"), key=lambda path: -path.stat().st_size)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - SIDE * SIDE * 3)


def flipped(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)
        file.seek(-5, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("damage", [cut_off, flipped], ids=["cut off", "one bit"])
def test_of_a_damaged_file_what_is_damaged_is_decoded_again(
    damage: Callable[[Path], None], album: Path, cache: Path, decoded: list[Path]
) -> None:
    before = load(str(album))
    pixels = before.search.train.pixels.copy()
    del before
    damage(pixel_files(cache)[0])
    decoded.clear()
    after = load(str(album))
    assert np.array_equal(after.search.train.pixels, pixels)
    assert 0 < len(decoded) < len(pixels)


@pytest.mark.parametrize("damage", [cut_off, flipped], ids=["cut off", "one bit"])
def test_nothing_is_copied_from_a_damaged_part(
    damage: Callable[[Path], None],
    album: Path,
    cache: Path,
    decoded: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(str(album))
    for path in pixel_files(cache):
        damage(path)
    draw(album / "cat" / "07.bmp", seed=999)
    decoded.clear()
    after = load(str(album))
    assert 1 < len(decoded) < len(after.search.train)
    assert same(after, in_memory(album, monkeypatch))


def test_images_read_in_another_way_are_not_copied(album: Path, decoded: list[Path]) -> None:
    load(str(album))
    decoded.clear()
    smaller = load(str(album), image_size=8)
    assert len(decoded) == len(smaller.search.train) + len(smaller.search.val)


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(100_000)])
def test_rubbish_in_their_place_is_made_anew(
    content: bytes, album: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(str(album))
    for path in cache.iterdir():
        path.write_bytes(content)
    assert same(load(str(album)), in_memory(album, monkeypatch))


_READ = "import sys; from trainers.data.registry import load; load(sys.argv[1], image_size=300)"


def started(album: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _READ, str(album)], start_new_session=True)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        for i in range(40):
            draw(tmp_path / "photographs" / label / f"{i}.png", i, side=100)
    return tmp_path / "photographs"


def test_what_a_kill_left_is_continued(
    photographs: Path, cache: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = started(photographs)
    while not any(any(path.read_bytes()[:8]) for path in cache.glob("*.pixels")):
        assert running.poll() is None
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait()
    data = load(str(photographs), image_size=300)
    assert 0 < len(decoded) < len(data.search.train) + len(data.search.val)
    with monkeypatch.context() as patch:
        patch.setenv("CONVNAS_IMAGES", "0")
        assert same(data, load(str(photographs), image_size=300))


def test_two_that_begin_at_once_share_the_work(
    photographs: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [started(photographs) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    found = load(str(photographs), image_size=300)
    assert not decoded
    with monkeypatch.context() as patch:
        patch.setenv("CONVNAS_IMAGES", "0")
        assert same(found, load(str(photographs), image_size=300))


def test_processes_decode_what_takes_long(
    photographs: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_WORTH_SECONDS", 0.0)
    monkeypatch.setattr(decoding, "cores", lambda: 2)
    found = load(str(photographs), image_size=300)
    assert len(decoded) < 10
    (photographs / "cat" / "0.png").write_bytes(b"no image at all")
    with pytest.raises(DatasetError, match=r"cannot decode the image .*cat/0.png \("):
        load(str(photographs), image_size=300)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    draw(photographs / "cat" / "0.png", seed=0, side=100)
    assert found.fingerprint == load(str(photographs), image_size=300).fingerprint


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    with small_disk(folder, "16m") as disk:
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk


def tiny(folder: Path) -> contextlib.AbstractContextManager[Path]:
    return small_disk(folder, "64k")


@pytest.mark.parametrize(
    ("disk", "why"),
    [(tiny, "has no room for them"), (read_only, r"cannot be written \(Read-only file system\)")],
)
def test_a_disk_that_takes_nothing_is_a_remark_and_an_error_only_without_memory(
    disk: Callable[[Path], contextlib.AbstractContextManager[Path]],
    why: str,
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = in_memory(album, monkeypatch)
    with disk(tmp_path / "disk") as place:
        monkeypatch.setenv("CONVNAS_IMAGES", str(place))
        found = load(str(album))
        assert found.fingerprint == plain.fingerprint
        (remark,) = found.remarks
        assert re.search(f"not kept for the next run: .*{why}", remark)
        monkeypatch.setattr(cache_of, "free_memory", lambda: 1000)
        with pytest.raises(DatasetError, match=f"GB of memory, .* free, and .*{why}.*IMAGES=FOLD"):
            load(str(album))


def test_what_is_on_a_disk_that_became_read_only_is_used(
    album: Path, tmp_path: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "16m") as place:
        monkeypatch.setenv("CONVNAS_IMAGES", str(place))
        load(str(album))
        decoded.clear()
        subprocess.run(["/bin/mount", "-o", "remount,ro", str(place)], check=True)
        assert not load(str(album)).remarks
        assert not decoded


def test_what_fits_on_the_disk_needs_no_memory(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_of, "free_memory", lambda: 1000)
    assert load(str(album)).search.train.file is not None
    monkeypatch.setenv("CONVNAS_IMAGES", "0")
    with pytest.raises(DatasetError, match="CONVNAS_IMAGES=0 keeps them off the disk"):
        load(str(album))


def test_a_broken_image_leaves_nothing_behind(album: Path, cache: Path) -> None:
    broken = album / "dog" / "59.bmp"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DatasetError, match=r"dog/59\.bmp"):
        load(str(album))
    assert list(cache.iterdir()) == []


def aged(cache: Path, days: float) -> list[Path]:
    then = time.time() - days * 24 * 3600
    for path in cache.iterdir():
        os.utime(path, (then, then))
    return list(cache.iterdir())


def test_what_nobody_used_for_a_month_is_deleted_but_not_what_is_in_use(
    album: Path, cache: Path
) -> None:
    used = load(str(album)).search
    paths = [Path(part.file.path) for part in (used.train, used.val) if part.file is not None]
    load(str(album), image_size=8)
    before = aged(cache, days=31)
    load(str(album), image_size=9)
    left = set(before) & set(cache.iterdir())
    assert left == set(paths)
    assert used.train.pixels.max() == 255


def test_of_much_the_oldest_is_deleted(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "1m") as place:  # a quarter is more than one, not two
        monkeypatch.setenv("CONVNAS_IMAGES", str(place))
        sizes = range(20, 28)
        for days, size in zip(range(8, 0, -1), sizes, strict=True):
            load(str(album), image_size=size)
            for path in place.iterdir():
                if time.time() - path.stat().st_mtime < 3600:
                    os.utime(path, (0, time.time() - days * 3600 * 24))
        assert sum(path.stat().st_size for path in place.glob("*.pixels")) < 2**20 / 2
        assert not load(str(album), image_size=sizes[-1]).remarks


def opened(sent: bytes) -> SearchData:
    data: SearchData = pickle.loads(sent)  # noqa: S301 - our own
    return data


def test_to_another_process_the_place_travels_and_to_another_machine_the_pixels(
    album: Path, cache: Path
) -> None:
    data = load(str(album)).search
    sent, pixels = pickle.dumps(data), data.train.pixels.tobytes()
    assert pixels not in sent
    assert np.array_equal(opened(sent).train.pixels, data.train.pixels)
    carried = pickle.dumps(data.in_memory())
    shutil.rmtree(cache)
    assert opened(carried).train.pixels.tobytes() == pixels
    with pytest.raises(GoneError, match=r"are gone .*the same command makes them again"):
        opened(sent)


@pytest.mark.parametrize("free", [None, 10**9, 1000])
def test_batches_of_a_file_are_those_of_memory_however_much_is_free(
    free: int | None, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    before = os.preadv

    def watched(file: int, buffers: list[object], start: int) -> int:
        read.append(start)
        return before(file, buffers, start)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", watched)
    monkeypatch.setattr(batches, "free_memory", lambda: free)
    data = load(str(album)).search
    kinds = (data.train, data.in_memory().train)
    assert [images.file is None for images in kinds] == [False, True]
    cpu = torch.device("cpu")
    one, other = (
        list(Batches(images, data, cpu, 0.1).shuffled(7, torch.Generator().manual_seed(3)))
        for images in kinds
    )
    assert len(one) == len(data.train) // 7
    for (pixels, labels), (others, their_labels) in zip(one, other, strict=True):
        assert torch.equal(pixels, others)
        assert torch.equal(labels, their_labels)
    # Only what is larger than memory is read image by image, and each once.
    assert len(set(read)) == len(read) == (len(one) * 7 if free == 1000 else 0)


def test_an_epoch_may_be_left_early_and_a_file_that_is_cut_off_is_told(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "free_memory", lambda: 1000)
    data = load(str(album)).search
    epoch = Batches(data.train, data, torch.device("cpu"))
    next(epoch.shuffled(8, torch.Generator()))
    assert data.train.file is not None
    os.truncate(data.train.file.path, 5000)
    with pytest.raises(GoneError, match="were cut off"):
        list(epoch.shuffled(8, torch.Generator()))
