"""Decoded images in files of the cache folder: made once, shared by all processes of a machine.

A file holds the pixels of some image files in their order. Its name is a digest of these files'
paths, sizes and times of change, and of how they were read: a file that changed is in no file of
the cache. Before the pixels stands a table with a checksum of each part. A part that it lacks, or
that is not what it says, is decoded: what a kill, a full disk or a damaged disk left is continued.
"""

import errno
import fcntl
import hashlib
import json
import mmap
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from trainers.data.decoding import BrokenImageError, Decoding, decode_all
from trainers.data.mapped import FilePart
from trainers.files import write_whole
from trainers.machine import cores

VARIABLE = "CONVNAS_IMAGES"
"""Names another folder in the environment; 0 keeps nothing."""
_PIXELS, ANSWER = ".pixels", ".json"
"""What the names of files end with: those of pixels, and those about them."""
_FORM = 2
"""Of the files: a later one has other names."""
_UNUSED_SECONDS = 30 * 24 * 3600.0
_GRACE_SECONDS = 60.0
"""Who has just found a file may not have opened it yet."""
_SHARE_OF_DISK = 4
"""At most a quarter of a disk is for files that nobody uses."""
_SPARED_SHARE = 20
"""A twentieth of a disk stays free: a study may be written there."""
_PAGE = mmap.ALLOCATIONGRANULARITY
_IS_THERE = 1 << 32
"""Stands beside the 32 bits of a checksum, which may be 0."""
_TICK_SECONDS = 0.05
"""Two changes of a file within this time may have the same time."""


def folder() -> Path | None:
    """Where decoded images are kept; None if they are not to be."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named == "0" else Path(named).expanduser()
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore relative paths.
    return (root if root.is_absolute() else Path("~/.cache").expanduser()) / "convnas" / "images"


def digest_of(root: Path, files: Sequence[Path], *about: object) -> str:
    """Changes with the paths below the root, sizes and times of any of the files, and with more.

    Args:
        root: of the files, or the table that names them.
        files: in an order that matters.
        about: what else it is of; equal things have equal texts.

    Raises:
        OSError: a file is not there.
    """
    stats = [path.stat() for path in files]
    newest = max((stat.st_ctime for stat in stats), default=0.0)
    if 0 <= time.time() - newest < _TICK_SECONDS:
        # A change after we read it would leave no trace.
        time.sleep(_TICK_SECONDS)
        stats = [path.stat() for path in files]
    versions = _FORM, PIL.__version__, features.version("jpg")
    digest = hashlib.sha256(repr((versions, about)).encode())
    above = os.fsencode((root if root.is_dir() else root.parent) / "x")[:-1]
    for path, stat in zip(files, stats, strict=True):
        # The time of the inode as well: a user may set that of the content.
        line = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\0"
        digest.update(os.fsencode(path).removeprefix(above) + b"\0" + line.encode())
    return digest.hexdigest()[:32]


def decoded(
    root: Path,
    files: Sequence[Path],
    how: Decoding,
    place: Path,
    tell: Callable[[int], None],
    wait: Callable[[], None],
) -> tuple[FilePart, str]:
    """The pixels of image files, from the cache or decoded into it.

    Args:
        root: of the files.
        files: in the order of the pixels.
        how: to decode them.
        place: the folder of the cache, made if need be.
        tell: gets how many are there, whenever more are.
        wait: called if another process decodes them.

    Returns:
        Where they are, and a digest of them.

    Raises:
        OSError: nothing can be written there, or there is no room.
        BrokenImageError: a file cannot be decoded.
    """
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{digest_of(root, files, how)}{_PIXELS}"
    with _opened(path, wait) as file:
        descriptor, writable = file
        made = _Made(descriptor, files, how)
        lacking = made.lacking()
        if lacking:
            if not writable:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            _make_room(place, made.size - os.fstat(descriptor).st_blocks * 512)
            try:
                made.make(lacking, tell)
            except BrokenImageError:
                # Once it is repaired or deleted, the images have another name.
                path.unlink(missing_ok=True)
                raise
        with suppress(OSError):
            os.utime(descriptor)
        return FilePart(str(path), made.start, how.shape(len(files))), made.digest


class _Made:
    """A file of decoded images: a table of checksums, then the pixels."""

    def __init__(self, descriptor: int, files: Sequence[Path], how: Decoding) -> None:
        self._descriptor, self._files, self._how = descriptor, files, how
        self._chunks = how.chunks(len(files))
        self._image_bytes = int(np.prod(how.shape(1)))
        self.start = -(-8 * len(self._chunks) // _PAGE) * _PAGE
        self.size = self.start + len(files) * self._image_bytes
        table = os.pread(descriptor, 8 * len(self._chunks), 0)
        self._table = np.frombuffer(table.ljust(8 * len(self._chunks), b"\0"), np.int64).copy()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self._table.tobytes()).hexdigest()

    def lacking(self) -> list[slice]:
        """The parts that are not there, or not whole."""

        def is_whole(number: int) -> bool:
            chunk = self._chunks[number]
            if not self._table[number]:
                return False
            length = (chunk.stop - chunk.start) * self._image_bytes
            found = os.pread(self._descriptor, length, self._at(chunk))
            return len(found) == length and _checksum(found) == int(self._table[number])

        with ThreadPoolExecutor(cores()) as pool:
            whole = pool.map(is_whole, range(len(self._chunks)))
            return [chunk for chunk, is_so in zip(self._chunks, whole, strict=True) if not is_so]

    def make(self, lacking: Sequence[slice], tell: Callable[[int], None]) -> None:
        """Decode these parts."""
        os.ftruncate(self._descriptor, self.size)
        # A disk that is full says so now.
        os.posix_fallocate(self._descriptor, 0, self.size)
        done = len(self._files) - sum(chunk.stop - chunk.start for chunk in lacking)
        step = self._how.images_a_chunk

        def keep(chunk: slice, pixels: NDArray[np.uint8]) -> None:
            nonlocal done
            data = pixels.tobytes()
            _write(self._descriptor, data, self._at(chunk))
            number = chunk.start // step
            self._table[number] = _checksum(data)
            _write(self._descriptor, self._table[number : number + 1].tobytes(), 8 * number)
            done += len(pixels)
            tell(done)

        decode_all(self._files, lacking, self._how, keep)

    def _at(self, chunk: slice) -> int:
        return self.start + int(chunk.start) * self._image_bytes


@contextmanager
def _opened(path: Path, wait: Callable[[], None]) -> Iterator[tuple[int, bool]]:
    """A file of the cache, locked, and whether it may be written.

    One process at a time decodes, and the others wait for it. Where there are no locks, or some use
    a file that is damaged, two may decode: both write the same.
    """
    try:
        descriptor, writable = os.open(path, os.O_RDWR | os.O_CREAT, 0o600), True
    except OSError:
        if not path.exists():
            raise
        descriptor, writable = os.open(path, os.O_RDONLY), False
    try:
        with suppress(OSError):
            _lock(descriptor, wait)
        if os.fstat(descriptor).st_nlink:
            yield descriptor, writable
            return
    finally:
        os.close(descriptor)
    # Deleted while we waited for its lock.
    with _opened(path, wait) as again:
        yield again


def _lock(descriptor: int, wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        wait()
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def _make_room(place: Path, needed: int) -> None:
    """Delete what was not used for long, and more if there is no room.

    Raises:
        OSError: there is none.
    """
    disk, now = shutil.disk_usage(place), time.time()
    kept = sorted((stat.st_mtime, 512 * stat.st_blocks, path) for path, stat in _all_in(place))
    taken = sum(size for _, size, _ in kept)
    room = disk.free - disk.total // _SPARED_SHARE
    for used, size, path in kept:
        unused = now - used
        is_short = needed > room or taken + needed > disk.total // _SHARE_OF_DISK
        is_over = unused > _UNUSED_SECONDS or (is_short and unused > _GRACE_SECONDS)
        if is_over and _deleted(path):
            taken, room = taken - size, room + size
    if needed > room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _all_in(place: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in place.iterdir():
        if path.suffix in {_PIXELS, ANSWER}:
            with suppress(OSError):  # another process deletes, too
                yield path, path.stat()


def _deleted(path: Path) -> bool:
    """Delete a file, unless it is in use."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass  # no locks there; who has mapped it keeps it all the same
            path.unlink()
    except OSError:
        return False
    return True


def _write(descriptor: int, data: bytes, at: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, at)
        left, at = left[written:], at + written


def _checksum(data: bytes) -> int:
    return zlib.crc32(data) | _IS_THERE


def answer(path: Path) -> dict[str, Any] | None:
    """What was kept about images; None if nothing was, or not whole."""
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        os.utime(path)
        if digest == _digest(text):
            found: dict[str, Any] = json.loads(text)
            return found
    except (OSError, ValueError):
        pass
    return None


def keep_answer(path: Path, about: Mapping[str, object]) -> None:
    """Keep it, if that can be."""
    text = json.dumps(about)
    with suppress(OSError):
        write_whole(path, f"{_digest(text)}\n{text}".encode())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
