"""The file of an SQLite database in use: whether its path still leads to it.

SQLite goes on writing to a file that was deleted or replaced, and says nothing. All of it is gone
once the last process has closed the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file as it was when it was opened.

    Attributes:
        path: absolute: a notebook may change its folder.
        device: with the inode, tells it from any other file.
        inode: see `device`.
    """

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """The file that is there now.

        Raises:
            OSError: there is none.
        """
        found = path.stat()
        return cls(path.absolute(), found.st_dev, found.st_ino)

    def harm(self) -> str | None:
        """What has happened to it, to be said after "was"; None if nothing has."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return "deleted or moved away"
        except OSError:
            return None  # it may be there: the database finds out
        same = (found.st_dev, found.st_ino) == (self.device, self.inode)
        return None if same else "replaced by another file"
