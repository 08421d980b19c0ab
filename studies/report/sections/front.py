"""The Pareto front as a picture and as a table."""

import math
from collections.abc import Callable, Iterator, Sequence

from nas_space.cli import short
from studies.analysis.facts import Facts
from studies.analysis.layer_costs import legend
from studies.pareto.by_hand import caption
from studies.pareto.front import ranked
from studies.records.tables import Evaluation
from studies.report.charts import Chart, axis_around
from studies.report.html import Content, Markup, element, table
from studies.retraining.summary import curse_of, told
from trainers.intervals import wilson
from trainers.metrics import Metric

MOST_NAMED_NETWORKS = 400
"""Dominated networks with a label; the others are small points."""


def section(facts: Facts) -> Content:
    """The picture, what is to be said of it, and the table."""
    parts: list[Content] = [
        element("h2", "The Pareto front"),
        element("p", _EXPLANATION + _how_judged(facts)),
        picture(facts),
        element("p", _invitation(facts), id="said", aria_live="polite"),
    ]
    if facts.gain is not None and not facts.constant:
        by = ", by expected accuracies" if facts.retrained_front else ""
        worth = facts.gain.told(facts.objective)
        parts.append(element("p", f"Beside the hand-designed networks (green){by}: {worth}."))
    if facts.failed:
        reason = f"{len(facts.failed)} trainings failed and are in no picture; reasons are below."
        parts.append(element("p", reason))
    if facts.retrained_front:
        fidelity = facts.retrained_front.fidelity
        means = f"In orange: means of fresh seeds ({fidelity}) with 95 % intervals; "
        parts.append(element("p", means + curse_of(facts.retrained_front, facts.metric) + "."))
    else:
        again = "Not trained again yet: studies.finalists, below, replaces luck by means."
        parts.append(element("p", again, class_="soft"))
    return element("section", parts, members(facts))


_EXPLANATION = (
    "Every point is a network that was trained to the end; on the blue line are those that no "
    "other beats in both. Accuracies are of validation images, one seed each: proxies, flattered "
    "by the choice of the best. The table also has what a model of all trainings expects, which is "
    "surer. "
)


def _how_judged(facts: Facts) -> str:
    by = "means of fresh seeds" if facts.retrained_front else "expected accuracies"
    said = f"The diamond is the knee by {by}."
    if facts.images is not None:
        said += f" The band is the 95 % interval that {facts.images:,} validation images leave."
    return said


def _invitation(facts: Facts) -> str:
    said = "Point at a network to see what it is."
    if len(facts.complete) - len(facts.front) > MOST_NAMED_NETWORKS:
        said += f" The front and the best {MOST_NAMED_NETWORKS} of the others say what they are."
    return said


def picture(facts: Facts, *more: Markup, **attributes: str) -> Markup:
    """Accuracy over cost: the front as steps, all others grey, fresh seeds with intervals.

    Args:
        facts: with at least one full training.
        more: drawn first.
        attributes: of the ``svg``.
    """
    chart = _chart(facts)
    on_front = {entry.number for entry in facts.shown}
    others = [entry for entry in ranked(facts.complete) if entry.number not in on_front]
    return chart.drawn(
        *more,
        *_band(chart, facts),
        _crowd(chart, others[MOST_NAMED_NETWORKS:]),
        *(_other(chart, facts, entry) for entry in others[:MOST_NAMED_NETWORKS]),
        element("path", d=_line(chart, facts.front), class_="front"),
        *_fresh(chart, facts),
        *(_member(chart, facts, entry) for entry in facts.shown),
        label=f"Pareto front: {facts.objective.title(facts.metric)}",
        **attributes,
    )


def members(facts: Facts) -> Markup:
    """The front as a table."""
    aim = facts.objective
    fresh = facts.retrained_front
    means = {f.number: told(f.accuracy, facts.metric) for f in fresh.finalists} if fresh else {}
    costs: dict[str, str] = {"MACs": "macs", "parameters": "params"}
    extra: dict[str, Callable[[Evaluation], str]] = {}
    if aim.column not in costs.values():
        extra[aim.heading] = lambda entry: aim.write(entry.cost)
    write = facts.metric.write
    believed = {found.number: write(found.val_accuracy) for found in facts.candidates}
    headings = ["trial", f"validation {facts.metric.name}", "expected"]
    unequal = facts.largest is not None and facts.largest.unequal
    headings += [*(["balanced accuracy"] if unequal else [])]
    headings += [*(["fresh seeds"] if means else []), *extra, *costs]
    rows = [
        [
            _trial(entry, facts),
            write(entry.val_accuracy),
            believed[entry.number],
            *([_balanced(entry)] if unequal else []),
            *([means.get(entry.number, "–")] if means else []),
            *(cost(entry) for cost in extra.values()),
            *(short(getattr(entry, column)) for column in costs.values()),
            caption(facts.architectures[entry.number]),
        ]
        for entry in facts.shown
    ]
    how = legend(facts.architectures[entry.number] for entry in facts.shown)
    return table([*headings, how], rows, "members")


def _balanced(entry: Evaluation) -> str:
    found = entry.balanced
    return "–" if found is None else f"{found:.2%}"


def note(facts: Facts, entry: Evaluation) -> str:
    """A network in a line or two."""
    aim = facts.objective
    cost = "" if aim.column in ("macs", "params") else f"{aim.write(entry.cost)} {aim.heading}, "
    return (
        f"trial {entry.number}: {facts.metric.write(entry.val_accuracy)}, {cost}"
        f"{short(entry.macs)} MACs, {short(entry.params)} parameters · "
        f"{caption(facts.architectures[entry.number])}"
    )


def _trial(entry: Evaluation, facts: Facts) -> Markup:
    knee = " ◆ knee" if entry is facts.knee and len(facts.front) > 1 else ""
    return element("span", f"{entry.number}{knee}", data_trial=entry.number)


def _chart(facts: Facts) -> Chart:
    accuracies = [entry.val_accuracy or 0.0 for entry in facts.complete]
    again = facts.retrained_front
    fresh = again.finalists if again else ()
    accuracies += [f.val_accuracy for f in fresh if f.val_accuracy is not None]
    aim = facts.objective
    return Chart(
        axis_around(
            [entry.cost for entry in facts.complete],
            f"{aim.heading}: {aim.meaning}",
            aim.write,
            logarithmic=True,
        ),
        axis_around(
            accuracies,
            f"validation {facts.metric.name}",
            _ticks(accuracies, facts.metric),
            within=(0.0, 1.0) if facts.metric.is_share else (-math.inf, math.inf),
        ),
    )


def _ticks(values: Sequence[float], metric: Metric) -> Callable[[float], str]:
    run = max(values) - min(values)
    if not metric.is_share:
        digits = 3 + int(math.log10(max(map(abs, values)) / run)) if run else 6
        return lambda value: f"{value:.{min(max(digits, 3), 15)}g}"
    digits = 0 if run > 0.05 else 1 if run > 0.005 else 2  # noqa: PLR2004 - ticks differ by so much
    return lambda value: metric.write(value, digits)


def _line(chart: Chart, front: Sequence[Evaluation]) -> str:
    points = [(entry.cost, entry.val_accuracy or 0.0) for entry in front]
    return chart.steps([*points, (chart.x.high, points[-1][1])])


def _band(chart: Chart, facts: Facts) -> Iterator[Markup]:
    """By how much the number of validation images alone lets the front's accuracies differ."""
    if facts.images is None:
        return
    points = [(e.cost, *wilson(e.val_accuracy or 0.0, facts.images)) for e in facts.front]
    end = (chart.x.high, *points[-1][1:])
    yield element("path", d=chart.band([*points, end]), class_="band")


def _crowd(chart: Chart, entries: Sequence[Evaluation]) -> Markup:
    """Points without labels, as one path: lines of length 0 with round ends."""
    places = (chart.place(entry.cost, entry.val_accuracy or 0.0) for entry in entries)
    return element("path", d="".join(f"M{x} {y}h0" for x, y in places), class_="crowd")


def _other(chart: Chart, facts: Facts, entry: Evaluation) -> Markup:
    x, y = chart.place(entry.cost, entry.val_accuracy or 0.0)
    return element(
        "circle",
        cx=x,
        cy=y,
        r=3.5,
        class_="other hand" if facts.architectures[entry.number].by_hand else "other",
        data_trial=entry.number,
        data_note=note(facts, entry),
    )


def _member(chart: Chart, facts: Facts, entry: Evaluation) -> Markup:
    x, y = chart.place(entry.cost, entry.val_accuracy or 0.0)
    told = note(facts, entry)
    knee = entry is facts.knee and len(facts.front) > 1
    shape: dict[str, str | float] = (
        {"d": f"M{x} {y - 9}L{x + 9} {y}L{x} {y + 9}L{x - 9} {y}Z"}
        if knee
        else {"cx": x, "cy": y, "r": 6}
    )
    return element(
        "path" if knee else "circle",
        element("title", told),
        **shape,
        class_="member hand" if facts.architectures[entry.number].by_hand else "member",
        tabindex=0,
        role="img",
        aria_label=told,
        data_trial=entry.number,
        data_note=told,
    )


def _fresh(chart: Chart, facts: Facts) -> Iterator[Markup]:
    """Means of fresh seeds with their intervals."""
    for finalist in facts.retrained_front.finalists if facts.retrained_front else ():
        if finalist.accuracy is None:
            continue
        mean, half = finalist.accuracy.value, finalist.accuracy.half or 0.0
        x, low = chart.place(finalist.cost, mean - half)
        _, high = chart.place(finalist.cost, mean + half)
        _, y = chart.place(finalist.cost, mean)
        bar = f"M{x} {low}V{high}M{x - 5} {y}h10"
        yield element("path", d=bar, class_="fresh", data_trial=finalist.number)
