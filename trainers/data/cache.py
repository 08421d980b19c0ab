"""Pixels of a folder of images, and facts about them, from one run to the next."""

import errno
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nas_space.waiting import Say
from trainers.data import kept
from trainers.data.decoding import Decoding, WidthHeight, decode_all
from trainers.data.mapped import FilePart
from trainers.data.splits import DatasetError, Statistics
from trainers.machine import free_memory


@dataclass(frozen=True, slots=True)
class Look:
    """What is decided about images before they are decoded.

    Attributes:
        size: width and height of all.
        mode: see `nas_space.pictures.mode_of`.
        bits: that grey levels have in files of more than 8.
        image_size: side to which they are resized; None if they are not.
        remarks: lines about odd ones.
    """

    size: WidthHeight
    mode: str
    bits: int
    image_size: int | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of images once all have been looked at.

    Attributes:
        look: what was decided before.
        statistics: of the pixels.
        flat: lines about images of one colour.
        pixels: digests of the files that hold them.
    """

    look: Look
    statistics: Statistics
    flat: tuple[str, ...]
    pixels: tuple[str, ...]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read it back; raises LookupError, TypeError."""
        look, seen = told["look"], told["statistics"]
        return cls(
            Look(**look | {"size": tuple(look["size"]), "remarks": tuple(look["remarks"])}),
            Statistics(tuple(seen["mean"]), tuple(seen["std"]), seen["fingerprint"]),
            tuple(told["flat"]),
            tuple(told["pixels"]),
        )


class Cache:
    """Keeps the images of one folder, and reads them into memory where it cannot.

    Args:
        root: of the folder.
        files: that a search looks at.
        say: gets the progress.
    """

    def __init__(self, root: Path, files: Sequence[Path], say: Say) -> None:
        self._root, self._files, self._say = root, files, say
        self._place = kept.folder()
        self._answer: Path | None = None
        self._digests: dict[str, str] = {}
        self._remarks: dict[str, None] = {}
        self._left = len(files)

    @property
    def pixel_digests(self) -> tuple[str, ...]:
        """Of the files that were read from the cache, or made."""
        return tuple(self._digests.values())

    @property
    def remarks(self) -> tuple[str, ...]:
        """Lines about what could not be kept."""
        return tuple(self._remarks)

    def recall(self, *about: object) -> Known | None:
        """What an earlier run found out about the same files, if they have not changed.

        Args:
            about: all that it depends on beside the files.
        """
        if self._place is None:
            return None
        try:
            digest = kept.digest_of(self._root, self._files, *about)
        except OSError:  # a file is gone: whoever reads it says so
            return None
        self._answer = self._place / f"{digest}{kept.ANSWER}"
        told = kept.answer(self._answer)
        try:
            return None if told is None else Known.from_json(told)
        except (LookupError, TypeError):
            return None

    def remember(self, known: Known) -> None:
        """Keep it for later runs, if its pixels are kept."""
        if self._answer is not None and not self._remarks:
            kept.keep_answer(self._answer, asdict(known))

    def pixels(self, files: Sequence[Path], how: Decoding) -> NDArray[np.uint8] | FilePart:
        """The pixels of some image files; in memory if they cannot be kept.

        Raises:
            BrokenImageError: a file cannot be decoded.
            DatasetError: neither a disk nor memory has room.
        """
        tell = self._progress(len(files))
        why = f"and {kept.VARIABLE}=0 keeps them off the disk"
        if self._place is not None:
            try:
                part, digest = kept.decoded(self._root, files, how, self._place, tell, self._wait)
            except OSError as error:
                why = _cannot(self._place, error)
                self._remarks[f"the decoded images are not kept for the next run: {why}"] = None
                why = f"and {why}: {kept.VARIABLE}=FOLDER names another"
            else:
                self._digests[part.path] = digest
                self._left -= len(files)
                return part
        _check_memory(self._root, max(len(files), self._left), how, why)
        self._left -= len(files)
        pixels = np.empty(how.shape(len(files)), dtype=np.uint8)
        done = 0

        def keep(chunk: slice, found: NDArray[np.uint8]) -> None:
            nonlocal done
            pixels[chunk] = found
            done += len(found)
            tell(done)

        decode_all(files, how.chunks(len(files)), how, keep)
        return pixels

    def _progress(self, count: int) -> Callable[[int], None]:
        """A function that tells how many of the images of a search are read."""
        total = len(self._files)
        before = total - self._left
        if self._left < count:  # those of the test come later
            before, total = 0, count
        return lambda done: self._say(
            f"reading the images of {self._root}: {before + done:,} of {total:,}"
        )

    def _wait(self) -> None:
        self._say(f"another process reads the images of {self._root}: waiting for it")


def _cannot(place: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {place} has no room for them"
    return f"{place} cannot be written ({error.strerror or error})"


def _check_memory(root: Path, count: int, how: Decoding, why: str) -> None:
    # Decoded once, and given to the workers once, which share them.
    needed, free = 2 * math.prod(how.shape(count)), free_memory()
    if free is not None and needed > free:
        width, height = how.size
        raise DatasetError(
            f"{count:,} images of {width}×{height} in {root} need {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB are free, {why}; give a smaller --image-size"
        )
