"""Pixels in a file, which the system reads where they are looked at."""

import fcntl
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_space.errors import ConvnasError

AHEAD = 3
"""Batches that are read from a file at a time, before they are used."""


class GoneError(ConvnasError):
    """A file of decoded images is no longer there."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Where pixels are. It travels between processes in their place.

    Attributes:
        path: of the file.
        offset: of the first byte.
        shape: (N, H, W, C), of uint8.
    """

    path: str
    offset: int
    shape: tuple[int, int, int, int]

    def open(self) -> NDArray[np.uint8]:
        """The pixels, read-only.

        They take memory as long as there is some: the system gives it away, and reads them again.
        While the array lives, the file is locked as one that is in use.

        Raises:
            GoneError: the file is not there, or was cut off.
        """
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 - the path is text
                with suppress(OSError):  # some file systems know no locks
                    # The map has a copy of the descriptor, which keeps the lock.
                    fcntl.flock(file, fcntl.LOCK_SH)
                return np.asarray(np.memmap(file, np.uint8, "r", self.offset, self.shape))
        except (OSError, ValueError) as error:
            raise GoneError(
                f"the decoded images in {self.path} are gone ({error}); the same command makes "
                "them again"
            ) from None

    @contextmanager
    def reader(self) -> Iterator[Callable[[NDArray[np.int64]], "Future[NDArray[np.uint8]]"]]:
        """Yields a function that reads the images at some positions, in a thread.

        Where the file is larger than memory this is ten times as fast as the map: a page that is
        looked at and missing makes the system read up to megabytes around it.
        """
        size = math.prod(self.shape[1:])

        def read(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
            found = np.empty((len(positions), *self.shape[1:]), dtype=np.uint8)
            # In the order of the disk.
            for at in np.argsort(positions):
                start = self.offset + int(positions[at]) * size
                if os.preadv(file.fileno(), [found[at]], start) != size:
                    raise GoneError(f"the decoded images in {self.path} were cut off")
            return found

        with open(self.path, "rb") as file, ThreadPoolExecutor(AHEAD) as threads:  # noqa: PTH123
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            try:
                yield lambda positions: threads.submit(read, positions)
            finally:
                threads.shutdown(cancel_futures=True)
