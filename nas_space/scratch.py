"""Folders for a while: deleted at the end or, if a kill came first, by the next run."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK, _NEW_LOCK = ".lock", ".lock.new"


@contextmanager
def scratch(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder, and what killed processes left beside it is deleted.

    The process holds a lock in its folder, which ends with the process, however that ends.

    Args:
        prefix: of the folder's name. All folders with it are made by this function.
        parent: where to make it; None is the temporary folder.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    _sweep(place, prefix)
    with tempfile.TemporaryDirectory(dir=place, prefix=prefix) as name:
        folder = Path(name)
        lock = _locked(folder)
        try:
            yield folder
        finally:
            if lock is not None:
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None on a file system that knows no locks."""
    new = folder / _NEW_LOCK
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        return None
    # Renamed when it is held: nobody ever finds it free while this process lives.
    new.rename(folder / _LOCK)
    return descriptor


def _sweep(place: Path, prefix: str) -> None:
    """Delete the folders whose processes are gone."""
    with suppress(OSError):
        for folder in list(place.glob(f"{prefix}*")):
            if _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody holds its lock."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return False
        # One without a lock was not made here.
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
