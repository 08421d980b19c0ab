"""Image files become pixels, on all cores where that pays."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_space.errors import ConvnasError
from nas_space.pictures import BITS, picture
from trainers.data.reading import BROKEN, Reading, limited
from trainers.data.tables.embedded import content
from trainers.machine import cores

WidthHeight = tuple[int, int]
"""Width and height, in Pillow's order."""
_CHUNK_BYTES, _CHUNK_IMAGES = 2**20, 32
"""What is decoded, kept and checked at a time, at most. Large photographs take .1 s each."""
_WORTH_SECONDS = 2.0
"""Work that is worth processes, which take half a second to start."""


class BrokenImageError(ConvnasError):
    """An image cannot be decoded; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How files become pixels.

    Attributes:
        size: width and height.
        mode: see `nas_space.pictures.mode_of`.
        reading: how files are read.
    """

    size: WidthHeight
    mode: str
    reading: Reading

    def shape(self, count: int) -> tuple[int, int, int, int]:
        """Of the pixels of some images: (N, H, W, C)."""
        width, height = self.size
        return count, height, width, len(self.mode)

    @property
    def images_a_chunk(self) -> int:
        """How many are decoded at a time."""
        _, height, width, channels = self.shape(1)
        return max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (height * width * channels)))

    def chunks(self, count: int) -> list[slice]:
        """The parts in which some images are decoded."""
        step = self.images_a_chunk
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]

    def pixels(self, paths: Sequence[Path]) -> NDArray[np.uint8]:
        """Decode files, within the limits that `limited` sets.

        Raises:
            BrokenImageError: one cannot be decoded.
        """
        found = np.empty(self.shape(len(paths)), dtype=np.uint8)
        try:
            for place, path in zip(found, paths, strict=True):
                place[:] = decode_file(path, self)
        except BROKEN as error:
            raise BrokenImageError(str(error) or type(error).__name__) from error
        return found


def is_file(path: Path) -> None:
    """Raise OSError if it is no file: to read a pipe or a device may never end."""
    if not path.is_file():
        raise OSError("it is no file")


def decode_file(path: Path, how: Decoding) -> NDArray[np.uint8]:
    """One image as pixels (H, W, C); raises `BROKEN`."""
    is_file(path)
    reading = how.reading
    image = picture(content(path), how.size, how.mode, reading.bits or BITS, reading.earlier)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], len(how.mode))


def decode_all(
    paths: Sequence[Path],
    chunks: Sequence[slice],
    how: Decoding,
    keep: Callable[[slice, NDArray[np.uint8]], None],
) -> None:
    """Decode parts of some files.

    Args:
        paths: of all files.
        chunks: the parts of these.
        how: they are decoded.
        keep: gets each part and its pixels, in any order and from several threads.

    Raises:
        BrokenImageError: a file cannot be decoded.
    """
    rest, began = iter(chunks), time.monotonic()
    with limited(how.reading.max_pixels):
        for done, chunk in enumerate(rest, 1):
            keep(chunk, how.pixels(paths[chunk]))
            left = (time.monotonic() - began) / done * (len(chunks) - done)
            if left > _WORTH_SECONDS and cores() > 1:
                break
        _decode_in_processes(paths, rest, how, keep)


def _decode_in_processes(
    paths: Sequence[Path],
    chunks: Iterator[slice],
    how: Decoding,
    keep: Callable[[slice, NDArray[np.uint8]], None],
) -> None:
    first = next(chunks, None)
    if first is None:
        return
    lock, over = threading.Lock(), threading.Event()
    left = iter([first, *chunks])

    def work() -> None:
        try:
            with closing(_Process(how)) as process:
                while not over.is_set():
                    with lock:
                        chunk = next(left, None)
                    if chunk is None:
                        return
                    keep(chunk, process.pixels(paths[chunk]))
        except BaseException:
            over.set()
            raise

    with ThreadPoolExecutor(cores()) as pool:
        running = [pool.submit(work) for _ in range(cores())]
        try:
            for each in running:
                each.result()
        finally:
            over.set()


class _Process:
    """A process that decodes, as this module does when it is run.

    It is none of `multiprocessing`, which would run the user's script again. Where it cannot be
    started, or dies, this process decodes.
    """

    def __init__(self, how: Decoding) -> None:
        self._how = how
        self._process: subprocess.Popen[bytes] | None = None
        # It imports our packages from where this process did.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable or "", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                # Ctrl-C is for this process, which ends that one.
                start_new_session=True,
            )

    def pixels(self, paths: Sequence[Path]) -> NDArray[np.uint8]:
        """See `Decoding.pixels`."""
        found = self._answer(paths)
        if isinstance(found, str):
            raise BrokenImageError(found)
        return self._how.pixels(paths) if found is None else found

    def _answer(self, paths: Sequence[Path]) -> NDArray[np.uint8] | str | None:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            pickle.dump((self._how, paths), process.stdin)
            process.stdin.flush()
            answer: NDArray[np.uint8] | str = pickle.load(process.stdout)  # noqa: S301 - our own
        except (OSError, EOFError, pickle.UnpicklingError):
            self.close()
            return None
        return answer

    def close(self) -> None:
        """End the process; what is asked for later is decoded here."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError), process:  # which closes a pipe that may be full
                process.kill()


def _serve() -> None:
    """Decode what is asked for on standard input, until it ends."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        while True:
            how, paths = pickle.load(asked)  # noqa: S301 - our own
            with limited(how.reading.max_pixels):
                try:
                    found: NDArray[np.uint8] | str = how.pixels(paths)
                except BrokenImageError as error:
                    found = str(error)
            pickle.dump(found, answers)
            answers.flush()


if __name__ == "__main__":
    _serve()
