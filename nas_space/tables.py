"""Tables for terminals of any width: columns go, but no name and no number is ever cut."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_NARROW_COLUMNS = 110
"""A narrower terminal gets no lines between columns, and the beginnings of long texts."""
_EASY_COLUMNS, _LEAST_COLUMNS = 28, 12
"""Widths of a text in which it reads well, and in which it can be read at all."""
_PIECE = re.compile(r"[^ ,]*(?:, |,| |$)")
"""A line of a text may end after it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        heading: what stands above it.
        left: whether it is aligned there, as names are; numbers stand at the right.
        text: whether it may go on in the next line, at the left; others are names and numbers.
        wide: whether only a wide terminal has it.
        spare: 0 if it always stays; of the others those with the largest number go first.
    """

    heading: str
    left: bool = False
    text: bool = False
    wide: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Long:
    """A text of which a narrow terminal shows one line, or the name alone if it has one."""

    whole: str
    name: str = ""


Cell = str | Long


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that rich prints as wide as there is room; without room for one, as paragraphs.

    Attributes:
        columns: from left to right; the first stays.
        rows: a cell for each column.
        title: above it; none if empty.
        lines: whether a wide terminal gets lines between the columns.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    lines: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The form that fits."""
        narrow = options.max_width < _NARROW_COLUMNS
        possible = [at for at, column in enumerate(self.columns) if not (narrow and column.wide)]
        ranks = sorted({self.columns[at].spare for at in possible}, reverse=True)
        for rank, text in [*((rank, _EASY_COLUMNS) for rank in ranks), (0, _LEAST_COLUMNS)]:
            kept = [at for at in possible if self.columns[at].spare <= rank]
            widths = {at: self._width(at, text, narrow=narrow) for at in kept}
            gaps = 2 * len(kept) if narrow or not self.lines else 3 * len(kept) + 1
            room = options.max_width - gaps - sum(widths.values())
            if room >= 0:
                for at in reversed(kept):
                    more = min(room, self._width(at, room + text, narrow=narrow) - widths[at])
                    widths[at], room = widths[at] + more, room - more
                yield self._table(widths, narrow=narrow)
                return
        yield from self._paragraphs()

    def _width(self, at: int, text: int, *, narrow: bool) -> int:
        """What a column needs; one of text has at most `text`, and never cuts a word."""
        column = self.columns[at]
        cells = [_shown(row[at], narrow=narrow) for row in self.rows]
        said = [column.heading, *(cell.plain for cell in cells)]
        words = [column.heading, *(cell.plain for cell in cells if not cell.no_wrap)]
        longest = max(cell_len(piece.rstrip()) for word in words for piece in _PIECE.findall(word))
        if column.text:
            return max(longest, min(text, max(map(cell_len, said))))
        return max(map(cell_len, [*(column.heading.split(" ") if narrow else said), *said[1:]]))

    def _table(self, widths: dict[int, int], *, narrow: bool) -> Table:
        drawn = Table(title=self.title or None, title_justify="left")
        if narrow or not self.lines:
            drawn.box, drawn.pad_edge, drawn.padding = None, False, (0, 2, 0, 0)
        for at, width in widths.items():
            column = self.columns[at]
            drawn.add_column(
                _wrapped(column.heading, width),
                justify="left" if column.left or column.text else "right",
                width=width,
                overflow="fold",
            )
        for row in self.rows:
            drawn.add_row(*(_shown(row[at], width, narrow=narrow) for at, width in widths.items()))
        return drawn

    def _paragraphs(self) -> RenderResult:
        """For each row a line with its first cell, and below it the others."""
        if self.title:
            yield Text(self.title, style="italic")
        for row in self.rows:
            told, long = list[str](), list[Long]()
            for column, cell in zip(self.columns, row, strict=True):
                if isinstance(cell, Long):
                    long.append(cell)
                elif not (column.wide or column.spare):
                    told.append(cell if column.left or column.text else f"{column.heading} {cell}")
            yield Text(told[0])
            for text in (Text(", ".join(told[1:])), *(_shown(cell, narrow=True) for cell in long)):
                yield Padding(text, (0, 0, 0, 2))


def _shown(cell: Cell, width: int | None = None, *, narrow: bool) -> Text:
    """What is drawn of a cell, in lines of a width."""
    if isinstance(cell, str):
        return Text(cell if width is None else _wrapped(cell, width))
    if narrow and not cell.name:
        return Text(cell.whole, no_wrap=True, overflow="ellipsis")
    return _shown(cell.name if narrow else cell.whole, width, narrow=narrow)


def _wrapped(text: str, width: int) -> str:
    """A text in lines that end after a word or a comma."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if lines[-1] and cell_len(f"{lines[-1]}{piece}".rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)
