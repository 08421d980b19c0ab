"""Pixels in a file, which the system reads where they are looked at."""

import fcntl
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_space.errors import ConvnasError


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
    def ahead(self) -> Iterator[Callable[[NDArray[np.int64]], object]]:
        """Yields a function that begins to read the images at some positions, and returns at once.

        A page that is missing stops who looks at it until the disk has answered; asked for
        beforehand, many are read at a time.
        """
        size = math.prod(self.shape[1:])

        def read(positions: NDArray[np.int64]) -> None:
            for position in np.sort(positions).tolist():
                start = self.offset + position * size
                os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)

        # Even to ask takes a while, where the disk is busy.
        with open(self.path, "rb") as file, ThreadPoolExecutor(1) as thread:  # noqa: PTH123
            try:
                yield lambda positions: thread.submit(read, positions)
            finally:
                thread.shutdown(cancel_futures=True)
