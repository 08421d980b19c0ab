"""The page: its sections in order."""

from collections.abc import Iterator
from importlib.resources import files
from types import MappingProxyType

from studies.analysis.facts import Facts
from studies.report.html import Content, Markup, element
from studies.report.sections import (
    answer,
    choices,
    classes,
    commands,
    drawing,
    front,
    growth,
    layers,
    ranking,
    spending,
)

_NO_SCORES: ranking.Numbers = MappingProxyType({})


def page(facts: Facts, against: Facts | None = None, scores: ranking.Numbers = _NO_SCORES) -> str:
    """A whole HTML document.

    Args:
        facts: of the study.
        against: facts of another study, whose hypervolume is drawn too.
        scores: of its fully trained networks, see `studies.report.sections.ranking`.
    """
    style = element("style", Markup(_text("chart.css") + _text("page.css")))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{facts.study.name} · convnas"),
        style,
    )
    script = element("script", Markup(_text("page.js")))
    body = element("body", element("main", list(_sections(facts, against, scores))), script)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def front_alone(facts: Facts) -> str:
    """The picture of the front as an SVG document."""
    style = element("style", Markup(_text("chart.css") + "svg { background: var(--paper); }"))
    alone = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "system-ui, sans-serif"}
    return f"{front.picture(facts, style, **alone)}\n"


def _sections(facts: Facts, against: Facts | None, scores: ranking.Numbers) -> Iterator[Content]:
    yield answer.section(facts)
    if facts.front:
        yield front.section(facts)
        if facts.has_layers:
            yield layers.section(facts)
        yield classes.section(facts)
    yield growth.section(facts, against)
    if facts.front:
        yield choices.section(facts)
        yield ranking.section(facts, scores)
        if facts.has_layers:
            yield drawing.section(facts)
    yield spending.section(facts)
    yield commands.section(facts)


def _text(name: str) -> str:
    return files("studies.report").joinpath(name).read_text(encoding="utf-8")
