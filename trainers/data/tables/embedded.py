"""Images that lie inside of an Arrow file, as if each had a path of its own."""

import os
from functools import cache
from io import BytesIO
from pathlib import Path, PosixPath
from typing import Any

from nas_space.errors import ConvnasError


class MissingArrowError(ConvnasError):
    """What is to be read needs pyarrow, which is not installed."""


class Embedded(PosixPath):
    """The path of an image in an Arrow file: that of the file, the column, and the row.

    What asks for a file there gets the answers of the Arrow file; `content` gives the image.
    """

    def is_file(self) -> bool:  # type: ignore[override,unused-ignore] # newer ones have options
        """Whether the Arrow file is there."""
        return os.path.isfile(self._file)  # noqa: PTH113 - a parent would be one of this class

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of the Arrow file."""
        return os.stat(self._file, follow_symlinks=follow_symlinks)  # noqa: PTH116

    def content(self) -> BytesIO:
        """The bytes of the image; none if its row is empty."""
        found = rows(self._file)[self.parts[-2]][int(self.name)].as_py() or {}
        return BytesIO(found.get("bytes") or b"")

    @property
    def _file(self) -> str:
        return os.path.dirname(os.path.dirname(str(self)))  # noqa: PTH120


def content(path: Path) -> Any:  # noqa: ANN401 - a path, or bytes
    """What Pillow opens for an image of that path."""
    return path.content() if isinstance(path, Embedded) else path


@cache
def rows(file: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The table of an Arrow file, mapped into memory.

    Raises:
        MissingArrowError: pyarrow is not installed.
        OSError: the file is missing or damaged.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - only such images need it
    except ImportError:
        raise MissingArrowError(f"{file} needs pyarrow: pip install pyarrow") from None
    try:
        return pa.ipc.open_stream(pa.memory_map(file)).read_all()
    except pa.ArrowException as error:
        raise OSError(f"{file} is damaged ({str(error).splitlines()[0]})") from None
