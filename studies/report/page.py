"""The page: its sections in order."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from nas_space.cli import runner
from nas_space.convs import kinds
from studies.arguments import DEFAULT_URL
from studies.report import drawing, front, layers, spending
from studies.report.charts import Axis, Chart
from studies.report.course import Step, course
from studies.report.facts import Facts
from studies.report.html import Content, Markup, element, table
from studies.report.importance import FEWEST, Effect, effects
from studies.report.types import Look, chip, legend, looks
from studies.standings import curse_of

_BARS = 12
"""Choices whose importance is shown."""


def page(facts: Facts, against: Facts | None = None) -> str:
    """A whole HTML document.

    Args:
        facts: of the study.
        against: of another one, whose hypervolume is drawn beside it.
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
    body = element("body", element("main", list(_sections(facts, against))), script)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def front_alone(facts: Facts) -> str:
    """The picture of the front as an SVG document."""
    style = element("style", Markup(_text("chart.css") + "svg { background: var(--paper); }"))
    alone = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "system-ui, sans-serif"}
    return f"{front.picture(facts, style, **alone)}\n"


def _sections(facts: Facts, against: Facts | None) -> Iterator[Content]:
    yield _headline(facts)
    if facts.front:
        yield _front(facts)
        yield _layers(facts)
    yield _course(facts, against)
    if facts.front:
        yield _importance(facts)
        yield _drawings(facts)
    yield _spending(facts)
    yield _next(facts)


def _headline(facts: Facts) -> Content:
    study, data = facts.study, facts.study.dataset
    size = "×".join(map(str, data["shape"]))
    best = max((entry.val_accuracy or 0.0 for entry in facts.complete), default=None)
    numbers = {
        "best validation accuracy": "–" if best is None else f"{best:.2%}",
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
            f"{study.recipe['epochs']} epochs, for {facts.objective.title}: "
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


def _front(facts: Facts) -> Content:
    parts: list[Content] = [
        element("h2", "The Pareto front"),
        element(
            "p",
            "Every point is a network that was trained to the end; on the blue line are those that "
            "no other beats in both. The diamond is the knee. Accuracies are of validation images, "
            "one seed each: proxies, flattered by the choice of the best.",
        ),
        front.picture(facts),
        element("p", _invitation(facts), id="said", aria_live="polite"),
    ]
    if facts.failed:
        reason = f"{len(facts.failed)} trainings failed and are in no picture; reasons are below."
        parts.append(element("p", reason))
    if facts.redrawn:
        told = f"In orange: means of fresh seeds ({facts.redrawn.fidelity}) with 95 % intervals; "
        parts.append(element("p", told + curse_of(facts.redrawn) + "."))
    else:
        told = "Not trained again yet: studies.finalists, below, replaces luck by means."
        parts.append(element("p", told, class_="soft"))
    return element("section", parts, front.members(facts))


def _invitation(facts: Facts) -> str:
    said = "Point at a network to see what it is."
    if len(facts.complete) - len(facts.front) > front.NAMED:
        said += f" The front and the best {front.NAMED} of the others say what they are."
    return said


def _layers(facts: Facts) -> Content:
    shown = looks(tuple(kinds()))
    return element(
        "section",
        element("h2", "Which convolution in which layer"),
        element(
            "p",
            "Layers from the image down (stage.block.convolution), networks of the front by "
            "ascending cost. The bars are the shares of the types in that layer: on the front, and "
            "among all fully trained networks. Where both are alike the front prefers nothing: the "
            "search has tried just that mix.",
        ),
        legend(shown),
        layers.picture(facts, shown),
        layers.preferences(facts, shown),
    )


def _course(facts: Facts, against: Facts | None) -> Content:
    box = facts.box
    lines = {facts.study.name: course(facts.evaluations, facts.study.recipe["epochs"], box)}
    explained = (
        "The share of the box that the front dominates (accuracy from 0 to 1, "
        f"{facts.objective.heading} on a log scale from {facts.objective.write(box[0])} to "
        f"{facts.objective.write(box[1])}), over the epochs of all trainings, partial ones too, "
        "counted in full trainings."
    )
    parts: list[Content] = [element("h2", "How the front grew"), element("p", explained)]
    if against is not None:
        full = against.study.recipe["epochs"]
        lines[against.study.name] = course(against.evaluations, full, box)
    ends = {name: steps[-1] for name, steps in lines.items()}
    if any(end.spent for end in ends.values()):
        parts.append(_lines(list(lines.values())))
    if len(lines) > 1:
        rows = [
            [name, f"{end.spent:.1f}", f"{end.hypervolume:.3f}", f"{_at(lines[name], ends):.3f}"]
            for name, end in ends.items()
        ]
        common = min(end.spent for end in ends.values())
        headings = ["study", "spent", "hypervolume", f"after {common:.1f}"]
        parts.append(table(headings, rows))
    if against is None:
        command = f"{_without_name(facts.study.command)} --sampler random --study random"
        parts.append(element("p", "What random search finds for the same cost, to compare with:"))
        parts.append(element("pre", f"{command}\n{_command(facts, 'report')} --against random"))
    return element("section", parts)


def _at(steps: Sequence[Step], ends: dict[str, Step]) -> float:
    """The hypervolume when the shorter of the searches ended."""
    common = min(end.spent for end in ends.values())
    return max(step.hypervolume for step in steps if step.spent <= common)


def _lines(searches: Sequence[Sequence[Step]]) -> Markup:
    most = max(steps[-1].spent for steps in searches)
    top = max(steps[-1].hypervolume for steps in searches)
    chart = Chart(
        Axis(0.0, most, "spent, in full trainings", lambda value: f"{value:g}"),
        Axis(0.0, max(top * 1.15, 1e-3), "hypervolume", lambda value: f"{value:.3g}"),
    )
    marks = [
        element(
            "path",
            d=chart.steps([(step.spent, step.hypervolume) for step in steps]),
            class_=style,
        )
        for steps, style in zip(searches, ("front", "rival"), strict=False)
    ]
    return chart.drawn(*marks, label="Hypervolume over cost")


def _importance(facts: Facts) -> Content:
    parts: list[Content] = [element("h2", "Which choices go with accuracy")]
    found = effects(facts)
    if found:
        parts += [element("p", _IMPORTANCE), _bars(found, looks(tuple(kinds())))]
    else:
        told = f"Fewer than {FEWEST} full trainings say nothing of this."
        parts.append(element("p", told, class_="soft"))
    return element("section", parts)


_IMPORTANCE = (
    "How much of the variance of validation accuracy a choice explains beyond chance (ε²), among "
    "the fully trained networks that have it. “Beyond cost” is about what a parabola in the log of "
    "the cost leaves of the accuracy, for a wide stage makes any network dear and accurate; the best "
    "type or number is the one whose networks are the most accurate for their cost. Pale bars may "
    "be chance (F-test, p ≥ 0.01). Association, no cause: a search does not draw its networks at "
    "random."
)


def _bars(found: Sequence[Effect], shown: Mapping[str, Look]) -> Markup:
    most = max(max(effect.beyond, effect.accuracy) for effect in found) or 1.0
    rows: list[list[Content]] = [
        [
            effect.choice,
            str(effect.networks),
            _bar(effect.beyond / most, effect.beyond, pale=not effect.sure),
            _bar(effect.accuracy / most, effect.accuracy, pale=False),
            _best(effect, shown),
        ]
        for effect in found[:_BARS]
    ]
    headings = ["choice", "networks", "beyond cost", "accuracy", "best for its cost, on average"]
    return table(headings, rows)


def _best(effect: Effect, shown: Mapping[str, Look]) -> Content:
    if not effect.sure:
        return "–"
    look = shown.get(effect.best)
    mark = effect.best if look is None else chip(look, look.letters, effect.best)
    return [mark, f" {effect.gain:+.1%}"]


def _bar(width: float, value: float, *, pale: bool) -> Markup:
    told = f"{value:.1%}"
    style = f"width:{8 * width:.2f}rem"
    bar = element("span", class_="bar pale" if pale else "bar", style=style, title=told)
    return element("span", bar, element("small", told))


def _drawings(facts: Facts) -> Content:
    shown = looks(tuple(kinds()))
    parts: list[Content] = [element("h2", "The networks of the front"), legend(shown)]
    for entry in facts.front:
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


def _next(facts: Facts) -> Content:
    lines = [
        f"{facts.study.command}   # goes on; a larger --budget adds to it",
        _command(facts, "pareto"),
        _command(facts, "finalists"),
        f"{_command(facts, 'export')} --knee --retrain --output exported",
        _command(facts, "dashboard"),
    ]
    last = facts.evaluations[-1].versions if facts.evaluations else {}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(last.items()))
    return element(
        "section",
        element("h2", "To go on"),
        element("pre", "\n".join(lines)),
        element("p", f"Study {facts.study.name} in {facts.shown_url}.", class_="soft"),
        element("p", f"The last training ran with {versions}.", class_="soft") if versions else "",
    )


def _without_name(command: str) -> str:
    """A command of a search without its --study."""
    return re.sub(r" --study(=| +)('[^']*'|\S+)", "", command)


def _command(facts: Facts, name: str) -> str:
    where = "" if facts.shown_url == DEFAULT_URL else f" --storage {shlex.quote(facts.shown_url)}"
    return f"{runner()}python -m studies.{name} --study {shlex.quote(facts.study.name)}{where}"


def _text(name: str) -> str:
    return files("studies.report").joinpath(name).read_text(encoding="utf-8")
