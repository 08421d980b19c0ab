"""Which choices go with accuracy, as bars."""

from collections.abc import Mapping, Sequence

from studies.analysis.facts import Facts
from studies.analysis.importance import FEWEST_NETWORKS, Effect, effects
from studies.report.html import Content, Markup, element, table
from studies.report.types import Look, chip, looks
from trainers.metrics import Metric

_MOST_BARS = 12
"""How many choices are shown."""


def section(facts: Facts) -> Content:
    """The effects of the choices; none if there are few networks."""
    parts: list[Content] = [element("h2", "Which choices go with accuracy")]
    found = effects(facts)
    if found:
        parts += [element("p", _IMPORTANCE), _bars(found, looks(facts.kinds), facts.metric)]
    elif facts.constant:
        told = "All networks are equally accurate: no choice explains anything."
        parts.append(element("p", told, class_="soft"))
    else:
        told = f"Fewer than {FEWEST_NETWORKS} full trainings say nothing of this."
        parts.append(element("p", told, class_="soft"))
    return element("section", parts)


_IMPORTANCE = (
    "How much of the variance of validation accuracy a choice explains beyond chance (ε²), among "
    "the fully trained networks that have it. “Beyond cost” is about what a parabola in the log of "
    "the cost leaves of the accuracy, for a wide stage makes any network dear and accurate; the "
    "best type or number is the one whose networks are the most accurate for their cost. Pale bars "
    "may be chance (F-test, p ≥ 0.01). Association, no cause: a search does not draw its networks "
    "at random."
)


def _bars(found: Sequence[Effect], shown: Mapping[str, Look], metric: Metric) -> Markup:
    most = max(max(effect.beyond, effect.accuracy) for effect in found) or 1.0
    rows: list[list[Content]] = [
        [
            effect.choice,
            str(effect.networks),
            _bar(effect.beyond / most, effect.beyond, pale=not effect.sure),
            _bar(effect.accuracy / most, effect.accuracy, pale=False),
            _best(effect, shown, metric),
        ]
        for effect in found[:_MOST_BARS]
    ]
    headings = ["choice", "networks", "beyond cost", "accuracy", "best for its cost, on average"]
    return table(headings, rows)


def _best(effect: Effect, shown: Mapping[str, Look], metric: Metric) -> Content:
    if not effect.sure:
        return "–"
    look = shown.get(effect.best)
    mark = effect.best if look is None else chip(look, look.letters, effect.best)
    return [mark, f" {metric.difference(effect.gain, 1)}"]


def _bar(width: float, value: float, *, pale: bool) -> Markup:
    told = f"{value:.1%}"
    style = f"width:{8 * width:.2f}rem"
    bar = element("span", class_="bar pale" if pale else "bar", style=style, title=told)
    return element("span", bar, element("small", told))
