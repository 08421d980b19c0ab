"""Charts as SVG: axes, and positions of values on them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studies.report.html import Markup, element

WIDTH, HEIGHT = 720.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 20.0, 14.0, 52.0
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """Values along an edge of a chart.

    Attributes:
        low: the value at its start.
        high: at its end, above `low`.
        logarithmic: whether the scale is logarithmic.
        title: what the values are.
        write: formats a value for people.
    """

    low: float
    high: float
    title: str
    write: Callable[[float], str]
    logarithmic: bool = False

    def along(self, value: float) -> float:
        """The position of a value, from 0 to 1; values beyond an end are at that end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values within it."""
        return _decades(self.low, self.high) if self.logarithmic else _even(self.low, self.high)


def axis_around(
    values: Sequence[float],
    title: str,
    write: Callable[[float], str],
    *,
    logarithmic: bool = False,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Axis:
    """An axis on which all values lie, with some room around them.

    Args:
        values: at least one; above 0 where the axis is logarithmic.
        title: see `Axis`.
        write: see `Axis`.
        logarithmic: see `Axis`.
        within: bounds that the axis never exceeds.
    """
    low, high = min(values), max(values)
    if logarithmic:
        room = max(1.08, (high / low) ** 0.05)
        return Axis(low / room, high * room, title, write, logarithmic=True)
    room = 0.05 * (high - low) or 1e-3 * max(1.0, abs(high))
    return Axis(max(low - room, within[0]), min(high + room, within[1]), title, write)


@dataclass(frozen=True, slots=True)
class Chart:
    """A plane with two axes."""

    x: Axis
    y: Axis

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The position of a point in the picture."""
        across = LEFT + self.x.along(x) * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(
            HEIGHT - BOTTOM - self.y.along(y) * (HEIGHT - TOP - BOTTOM), 1
        )

    def steps(self, points: Sequence[tuple[float, float]]) -> str:
        """A path of steps: horizontal from each point to the next one's x, then vertical."""
        placed = [self.place(*point) for point in points]
        (x, y), *rest = placed
        return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in rest)

    def band(self, points: Sequence[tuple[float, float, float]]) -> str:
        """The area between two such paths; of each point its x, its lower and its upper y."""
        upper = self.steps([(x, high) for x, _, high in points])
        placed = [self.place(x, low) for x, low, _ in reversed(points)]
        (x, y), *rest = placed
        return f"{upper}L{x} {y}" + "".join(f"V{below}H{at}" for at, below in rest) + "Z"

    def drawn(self, *marks: Markup, label: str, **attributes: str) -> Markup:
        """The chart with its axes.

        Args:
            marks: what is in it.
            label: a description, for those who cannot see it.
            attributes: further ones of the ``svg``.
        """
        return element(
            "svg",
            element("title", label),
            self._across(),
            self._up(),
            *marks,
            viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
            role="group",
            aria_label=label,
            class_="chart",
            **attributes,
        )

    def _across(self) -> Markup:
        bottom = HEIGHT - BOTTOM
        parts = []
        for at, value in enumerate(self.x.ticks()):
            x, _ = self.place(value, self.y.low)
            spare = "tick spare" if at % 2 else "tick"
            parts.append(element("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="grid"))
            parts.append(
                element("text", self.x.write(value), x=x, y=bottom + 20, class_=f"{spare} middle")
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        title = element("text", self.x.title, x=middle, y=HEIGHT - 6, class_="axis middle")
        return element("g", *parts, title)

    def _up(self) -> Markup:
        parts = []
        for value in self.y.ticks():
            _, y = self.place(self.x.low, value)
            parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
            parts.append(
                element("text", self.y.write(value), x=LEFT - 8, y=y + 4, class_="tick end")
            )
        # Inside the plane: a narrow screen has no room beside it.
        title = element("text", self.y.title, x=LEFT + 8, y=TOP + 12, class_="axis")
        return element("g", *parts, title)


def _even(low: float, high: float) -> list[float]:
    rough = (high - low) / _MOST_TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    for parts in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [
            part * 10.0**power
            for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for part in parts
            if low <= part * 10.0**power <= high
        ]
        if len(found) >= 4:  # noqa: PLR2004 - fewer say little
            break
    return found
