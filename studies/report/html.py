"""HTML as values: any text that is not markup is escaped."""

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Content = str | Iterable["Content"]
"""Markup stays as it is, other text is escaped, and sequences are joined."""

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
    """A table, in a box that scrolls on a narrow screen."""
    head = element("tr", [element("th", heading, scope="col") for heading in headings])
    body = [element("tr", [element("td", cell) for cell in row]) for row in rows]
    drawn = element("table", element("thead", head), element("tbody", body), class_=class_)
    return element("div", drawn, class_="scroll", tabindex="0")
