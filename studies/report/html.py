"""HTML as values: any text that is not markup is escaped."""

import html
import re
from collections.abc import Iterable


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Content = str | Iterable["Content"]
"""Markup stays as it is, other text is escaped, and sequences are joined."""

_ONE = r"[+-]?\d[\d.,:]* ?(?:[%×]|[a-zA-Z]{1,3})?"
_NUMBER = re.compile(rf"{_ONE}(?: (?:±|to) {_ONE})?|–")
_VOID = frozenset({"meta", "br"})


def text(content: Content) -> str:
    """Content as HTML."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return html.escape(content)
    return "".join(map(text, content))


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        name: its tag.
        content: what is in it.
        attributes: in their names, a ``_`` at the end is dropped and others become ``-``; None is
            left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in _VOID else f"{text(content)}</{name}>"
    return Markup(f"<{name}{given}>{end}")


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def table(
    headings: Iterable[Content], rows: Iterable[Iterable[Content]], class_: str | None = None
) -> Markup:
    """A table, in a box that scrolls on a narrow screen; columns of numbers are at the right."""
    cells = [list(row) for row in rows]
    columns = zip(*cells, strict=True)
    sides = ["number" if all(map(_is_number, column)) else None for column in columns]
    named = list(headings)
    sides += [None] * (len(named) - len(sides))
    head = [element("th", h, scope="col", class_=s) for h, s in zip(named, sides, strict=True)]
    body = [
        element("tr", [element("td", cell, class_=s) for cell, s in zip(row, sides, strict=True)])
        for row in cells
    ]
    drawn = element(
        "table", element("thead", element("tr", head)), element("tbody", body), class_=class_
    )
    return element("div", drawn, class_="scroll", tabindex="0")


def _is_number(cell: Content) -> bool:
    """Whether a cell is a number with its unit, two of them, or the sign that there is none."""
    return isinstance(cell, str) and _NUMBER.fullmatch(cell) is not None
