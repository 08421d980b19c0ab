"""Files that are written whole or not at all, even if the process or the machine dies."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or replace it.

    Raises:
        OSError: it cannot be written; an older one stays as it was.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
