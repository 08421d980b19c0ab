"""The page: its sections in order."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from types import MappingProxyType

from studies.analysis.facts import Facts
from studies.report.html import Content, Markup, element
from studies.report.sections import (
    choices,
    commands,
    drawing,
    front,
    growth,
    layers,
    ranking,
    spending,
)
from studies.report.types import legend, looks
from studies.retraining.summary import curse_of

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
    yield _headline(facts)
    if facts.front:
        yield _front(facts)
        if facts.has_layers:
            yield _layers(facts)
    yield growth.section(facts, against)
    if facts.front:
        yield choices.section(facts)
        yield ranking.section(facts, scores)
        yield _drawings(facts)
    yield _spending(facts)
    yield commands.section(facts)


def _headline(facts: Facts) -> Content:
    study, data = facts.study, facts.study.dataset
    size = "×".join(map(str, data["shape"]))
    best = max((entry.val_accuracy or 0.0 for entry in facts.complete), default=None)
    numbers = {
        f"best validation {facts.metric}": "–" if best is None else f"{best:.2%}",
        **_largest(facts),
        "networks trained fully": f"{len(facts.complete):,}",
        "partly": f"{len(facts.partial):,}",
        "failed": f"{len(facts.failed):,}",
        "on the front": f"{len(facts.front):,}",
    }
    return [
        element("h1", study.name),
        element(
            "p",
            f"The space {study.space['name']} searched on {data['name']} (images of {size}), each "
            f"network trained with the recipe {study.recipe['name']} for up to "
            f"{study.recipe['epochs']} epochs, for {facts.objective.title(facts.metric)}: "
            f"{facts.objective.meaning}.",
        ),
        element("p", f"As of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.", class_="soft"),
        element(
            "dl",
            [
                element("div", element("dt", name), element("dd", value))
                for name, value in numbers.items()
            ],
            class_="numbers",
        ),
    ]


def _largest(facts: Facts) -> dict[str, str]:
    largest = facts.largest
    if largest is None or not largest.unequal:
        return {}
    return {f"always saying {largest.name!r}": f"{largest.share:.2%}"}


def _front(facts: Facts) -> Content:
    parts: list[Content] = [
        element("h2", "The Pareto front"),
        element(
            "p",
            "Every point is a network that was trained to the end; on the blue line are those that "
            "no other beats in both. Accuracies are of validation images, one seed each: proxies, "
            "flattered by the choice of the best. The table also has what a model of all trainings "
            "expects, which is surer. The diamond is the knee by expected accuracies.",
        ),
        front.picture(facts),
        element("p", _invitation(facts), id="said", aria_live="polite"),
    ]
    if facts.gain is not None:
        told = f"Beside the hand-designed networks (green): {facts.gain.told(facts.objective)}."
        parts.append(element("p", told))
    if facts.failed:
        reason = f"{len(facts.failed)} trainings failed and are in no picture; reasons are below."
        parts.append(element("p", reason))
    if facts.retrained_front:
        fidelity = facts.retrained_front.fidelity
        told = f"In orange: means of fresh seeds ({fidelity}) with 95 % intervals; "
        parts.append(element("p", told + curse_of(facts.retrained_front) + "."))
    else:
        told = "Not trained again yet: studies.finalists, below, replaces luck by means."
        parts.append(element("p", told, class_="soft"))
    return element("section", parts, front.members(facts))


def _invitation(facts: Facts) -> str:
    said = "Point at a network to see what it is."
    if len(facts.complete) - len(facts.front) > front.MOST_NAMED_NETWORKS:
        said += (
            f" The front and the best {front.MOST_NAMED_NETWORKS} of the others say what they are."
        )
    return said


def _layers(facts: Facts) -> Content:
    shown = looks(facts.kinds)
    return element(
        "section",
        element("h2", "Which convolution in which layer"),
        element(
            "p",
            "Layers from the image down (numbers are those of stage, block and convolution), "
            "networks of the front by ascending cost. The bars are the shares of the types in that "
            "layer: on the front, and among all fully trained networks. Where both are alike the "
            "front prefers nothing: the search has tried just that mix.",
        ),
        legend(shown),
        layers.picture(facts, shown),
        layers.preferences(facts, shown),
    )


def _drawings(facts: Facts) -> Content:
    shown = looks(facts.kinds)
    parts: list[Content] = [element("h2", "The networks of the front"), legend(shown)]
    for entry in facts.shown:
        summary = element("summary", front.note(facts, entry).partition(" · ")[0])
        is_open = "" if entry is facts.knee else None
        drawn = drawing.drawing(facts, entry, shown)
        parts.append(element("details", summary, drawn, open=is_open))
    return element("section", parts)


def _spending(facts: Facts) -> Content:
    parts: list[Content] = [
        element("h2", "Where the time went"),
        element("p", spending.bill(facts)),
        spending.trainings(facts),
    ]
    if facts.complete or facts.partial:
        parts += [element("p", "The slowest an epoch:"), spending.slowest(facts)]
    if facts.failed:
        parts += [element("h2", "What failed"), spending.failures(facts)]
    return element("section", parts)


def _text(name: str) -> str:
    return files("studies.report").joinpath(name).read_text(encoding="utf-8")
