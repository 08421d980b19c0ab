"""A page is shared: it does not tell where its maker's files lie."""

import re

_NAME = r"""[^\s/\\'"<>]"""
_FOLDERS = re.compile(rf"(?<![\w.…:/~])~?/(?:{_NAME}+/)+(?={_NAME})|\b[A-Za-z]:\\(?:{_NAME}+\\)+")
_DATABASE = re.compile(rf"(?<=sqlite:///)(?:{_NAME}*/)+(?={_NAME})")


def without_paths(text: str) -> str:
    """A text in which absolute paths, and those of SQLite's files, have lost their folders."""
    return _FOLDERS.sub("…/", _DATABASE.sub("…/", text))
