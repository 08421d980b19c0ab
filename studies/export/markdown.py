"""Texts that Markdown shows as they are: names come from folders, modules and databases."""

import re

_MARKS = re.compile(r"[\\`*_\[\]|~#!$]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str) -> str:
    """A text as Markdown that shows it letter by letter, on one line, also in a table."""
    marked = _MARKS.sub(r"\\\g<0>", one_line(text))
    return "".join(_ENTITIES.get(letter, letter) for letter in marked)


def code(text: str) -> str:
    """A text as code within a line, not in a table."""
    line = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def one_line(text: str) -> str:
    """A text with a space for each letter that is not printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
