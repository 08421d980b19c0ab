"""How each type of convolution is shown: a colour, and letters for the colour-blind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studies.report.html import Markup, element

_COLOURS = (
    ("#56b4e9", "#111"),
    ("#e69f00", "#111"),
    ("#009e73", "#111"),
    ("#cc79a7", "#111"),
    ("#f0e442", "#111"),
    ("#d55e00", "#111"),
    ("#0072b2", "#fff"),
    ("#882255", "#fff"),
)
"""Background and text colours for the colour-blind: Okabe and Ito's palette, and Tol's wine."""
_OTHERS = ("#999999", "#111")


@dataclass(frozen=True, slots=True)
class Look:
    """How a type is shown.

    Attributes:
        letters: short, and different for each type.
        colour: of its areas.
        ink: colour of text on them.
    """

    letters: str
    colour: str
    ink: str


def looks(kinds: Sequence[str]) -> dict[str, Look]:
    """The look of each type; the same types always get the same looks."""
    found: dict[str, Look] = {}
    taken: set[str] = set()
    for at, kind in enumerate(sorted(kinds)):
        letters = _letters(kind, taken)
        taken.add(letters)
        colour, ink = _COLOURS[at] if at < len(_COLOURS) else _OTHERS
        found[kind] = Look(letters, colour, ink)
    return found


def _letters(kind: str, taken: set[str]) -> str:
    digits = kind[len(kind.rstrip("0123456789")) :]
    for length in range(1, len(kind) + 1):
        letters = kind[:length].capitalize() + digits
        if letters not in taken:
            return letters
    return kind


def legend(shown: Mapping[str, Look]) -> Markup:
    """The colour and letters of each type."""
    return element(
        "p",
        [[chip(look, look.letters, None), f" {kind}  "] for kind, look in shown.items()],
        class_="legend",
    )


def chip(look: Look, letters: str, title: str | None) -> Markup:
    """A small square of a type."""
    style = f"background:{look.colour};color:{look.ink}"
    return element("span", letters, class_="chip", style=style, title=title)
