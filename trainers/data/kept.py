"""Decoded images in files of the cache folder: made once, shared by all processes of a machine.

A file holds the pixels of some image files in their order. Its name is a digest of these files'
paths, sizes and times of change, and of how they were read: a file that changed is in no file of
the cache. Before the pixels stands a table with a checksum of each part, and a digest of each file.
A part that it lacks, or that is not what it says, is decoded: what a kill, a full disk or a damaged
disk left is continued. Images that another file of the cache has are copied from there: when a few
of a folder changed, few are decoded.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
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
_DIGEST_BYTES = 16
"""Of one image file."""
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
    return _name(_lines(root, files), *about)


def _name(lines: Sequence[bytes], *about: object) -> str:
    versions = _FORM, PIL.__version__, features.version("jpg")
    digest = hashlib.sha256(repr((versions, about)).encode())
    for line in lines:
        digest.update(line)
    return digest.hexdigest()[:32]


def _lines(root: Path, files: Sequence[Path]) -> list[bytes]:
    """What tells each file from others, and from itself before a change; raises OSError."""
    stats = [path.stat() for path in files]
    newest = max((stat.st_ctime for stat in stats), default=0.0)
    if 0 <= time.time() - newest < _TICK_SECONDS:
        # A change after we read it would leave no trace.
        time.sleep(_TICK_SECONDS)
        stats = [path.stat() for path in files]
    above = os.fsencode((root if root.is_dir() else root.parent) / "x")[:-1]
    return [
        # The time of the inode as well: a user may set that of the content.
        os.fsencode(path).removeprefix(above)
        + f"\0{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}\0".encode()
        for path, stat in zip(files, stats, strict=True)
    ]


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
    lines = _lines(root, files)
    # Those of the same kind may have the same images.
    kind = _name([], how)
    path = place / f"{_name(lines, how)}-{kind}-{len(files)}{_PIXELS}"
    with _opened(path, wait) as file:
        descriptor, writable = file
        made = _Made(descriptor, len(files), how)
        lacking = made.lacking()
        if lacking:
            if not writable:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            _make_room(place, made.size - os.fstat(descriptor).st_blocks * 512)
            try:
                made.reserve([hashlib.sha256(line).digest()[:_DIGEST_BYTES] for line in lines])
                others = (each for each in place.glob(f"*-{kind}-*{_PIXELS}") if each != path)
                made.make(lacking, files, others, tell)
            except BrokenImageError:
                # Once it is repaired or deleted, the images have another name.
                path.unlink(missing_ok=True)
                raise
        with suppress(OSError):
            os.utime(descriptor)
        return FilePart(str(path), made.start, how.shape(len(files))), made.digest


class _Made:
    """A file of decoded images: a table of checksums, a digest of each image, then the pixels.

    Args:
        descriptor: of the file.
        count: of its images.
        how: they are decoded.
    """

    def __init__(self, descriptor: int, count: int, how: Decoding) -> None:
        self._descriptor, self._count, self._how = descriptor, count, how
        self._chunks = how.chunks(count)
        self._image_bytes = int(np.prod(how.shape(1)))
        digests, table_bytes = count * _DIGEST_BYTES, 8 * len(self._chunks)
        self.start = -(-(table_bytes + digests) // _PAGE) * _PAGE
        self.size = self.start + count * self._image_bytes
        head = os.pread(descriptor, table_bytes + digests, 0).ljust(table_bytes + digests, b"\0")
        self._table = np.frombuffer(head[:table_bytes], np.int64).copy()
        self._images = _cut(head[table_bytes:])

    @property
    def digest(self) -> str:
        return hashlib.sha256(self._table.tobytes()).hexdigest()

    def lacking(self) -> list[slice]:
        """The parts that are not there, or not whole."""
        with ThreadPoolExecutor(cores()) as pool:
            whole = pool.map(self._is_whole, self._chunks)
            return [chunk for chunk, is_so in zip(self._chunks, whole, strict=True) if not is_so]

    def _is_whole(self, chunk: slice) -> bool:
        checksum = int(self._table[chunk.start // self._how.images_a_chunk])
        length = (chunk.stop - chunk.start) * self._image_bytes
        found = os.pread(self._descriptor, length, self._at(chunk.start)) if checksum else b""
        return len(found) == length and _checksum(found) == checksum

    def reserve(self, images: Sequence[bytes]) -> None:
        """Take the room on the disk, and say whose pixels will be there."""
        os.ftruncate(self._descriptor, self.size)
        # A disk that is full says so now.
        os.posix_fallocate(self._descriptor, 0, self.size)
        _write(self._descriptor, b"".join(images), 8 * len(self._chunks))
        self._images = [*images]

    def make(
        self,
        lacking: Sequence[slice],
        files: Sequence[Path],
        others: Iterable[Path],
        tell: Callable[[int], None],
    ) -> None:
        """Make these parts: copy images that other files of the same kind have, decode the rest."""
        done = self._count - sum(chunk.stop - chunk.start for chunk in lacking)
        missing: list[Path] = []
        places: dict[int, slice] = {}
        parts: list[slice] = []
        with ExitStack() as opened:
            known = self._known(lacking, others, opened)

            def keep(part: slice, pixels: NDArray[np.uint8]) -> None:
                nonlocal done
                chunk, rows = places[part.start], iter(pixels)
                self._keep(
                    chunk, b"".join(self._one(image, known, rows) for image in self._images[chunk])
                )
                done += chunk.stop - chunk.start
                tell(done)

            for chunk in lacking:
                start = len(missing)
                missing += (files[at] for at in _within(chunk) if self._images[at] not in known)
                part = slice(start, len(missing))
                places[start] = chunk
                if part.start < part.stop:
                    parts.append(part)
                else:
                    keep(part, np.empty(0, np.uint8))
            decode_all(missing, parts, self._how, keep)

    def _one(
        self,
        image: bytes,
        known: Mapping[bytes, tuple[int, int]],
        decoded: Iterator[NDArray[np.uint8]],
    ) -> bytes:
        """The pixels of an image, from where they are known, or the next that was decoded."""
        if image not in known:
            return next(decoded).tobytes()
        file, at = known[image]
        found = os.pread(file, self._image_bytes, at)
        if len(found) < self._image_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return found

    def _known(
        self, lacking: Sequence[slice], others: Iterable[Path], opened: ExitStack
    ) -> dict[bytes, tuple[int, int]]:
        """Where pixels of images of these parts are in other files: a descriptor, and a place."""
        wanted = {image for chunk in lacking for image in self._images[chunk]}
        found: dict[bytes, tuple[int, int]] = {}
        for path in others:
            with suppress(OSError, ValueError):  # deleted, or written at this moment
                descriptor = os.open(path, os.O_RDONLY)
                opened.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                other = _Made(descriptor, int(path.stem.rpartition("-")[2]), self._how)
                found |= other.having(wanted - found.keys())
        return found

    def having(self, wanted: AbstractSet[bytes]) -> dict[bytes, tuple[int, int]]:
        """The descriptor and the place of those of some images that are here, and whole."""
        chunks = (c for c in self._chunks if not wanted.isdisjoint(self._images[c]))
        return {
            self._images[at]: (self._descriptor, self._at(at))
            for chunk in chunks
            if self._is_whole(chunk)
            for at in _within(chunk)
        }

    def _keep(self, chunk: slice, data: bytes) -> None:
        _write(self._descriptor, data, self._at(chunk.start))
        number = chunk.start // self._how.images_a_chunk
        self._table[number] = _checksum(data)
        _write(self._descriptor, self._table[number : number + 1].tobytes(), 8 * number)

    def _at(self, image: int) -> int:
        return self.start + image * self._image_bytes


def _within(chunk: slice) -> range:
    return range(chunk.start, chunk.stop)


def _cut(digests: bytes) -> list[bytes]:
    starts = range(0, len(digests), _DIGEST_BYTES)
    return [digests[start : start + _DIGEST_BYTES] for start in starts]


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
