"""Where the time went, and what failed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta

from nas_space.cli import duration
from studies.analysis.facts import Facts
from studies.records.tables import Evaluation
from studies.report.html import Content, Markup, element, table
from studies.report.paths import without_paths

_SLOWEST_TRAININGS = 5


def section(facts: Facts) -> Content:
    """The time, and below it the failures."""
    parts: list[Content] = [
        element("h2", "Where the time went"),
        element("p", bill(facts)),
        trainings(facts),
    ]
    if facts.complete or facts.partial:
        parts += [element("p", "The slowest an epoch:"), slowest(facts)]
    if facts.failed:
        parts += [element("h2", "What failed"), failures(facts)]
    return element("section", parts)


def trainings(facts: Facts) -> Markup:
    """Trainings, epochs and time, by how they ended."""
    groups = {"full": facts.complete, "partial": facts.partial, "failed": facts.failed}
    total = sum(map(_seconds, groups.values())) or 1.0
    rows = [
        [
            name,
            str(len(entries)),
            str(sum(entry.trained for entry in entries)) if name != "failed" else "–",
            duration(_seconds(entries)),
            f"{_seconds(entries) / total:.0%}",
        ]
        for name, entries in groups.items()
    ]
    return table(["trainings", "number", "epochs", "time of workers", "share"], rows)


def bill(facts: Facts) -> str:
    """The cost, in worker hours on each device, and how long the search took."""
    by_device: defaultdict[str, float] = defaultdict(float)
    for entry in facts.evaluations:
        by_device[entry.device or "an unknown device"] += entry.seconds or 0.0
    hours = ", ".join(
        f"{seconds / 3600:.2f} worker-hours on {device}"
        for device, seconds in sorted(by_device.items())
        if seconds
    )
    ends = [entry.created_at for entry in facts.evaluations]
    if not ends or not hours:
        return "nothing was trained yet"
    first = facts.evaluations[0]
    began = first.created_at - timedelta(seconds=first.seconds or 0.0)
    span = max(ends) - min(began, *ends)
    return (
        f"{hours}; {duration(span.total_seconds())} from the first training to the last, pauses "
        "included. Workers that share a GPU count its hours once each."
    )


def slowest(facts: Facts) -> Markup:
    """The trainings with the longest epochs."""
    timed = [e for e in (*facts.complete, *facts.partial) if e.seconds and e.trained]
    timed.sort(key=lambda e: -(e.seconds or 0.0) / e.trained)
    rows: list[list[Content]] = [
        [
            str(entry.number),
            f"{(entry.seconds or 0.0) / entry.trained:.2f} s",
            duration(entry.seconds or 0.0),
            facts.objective.write(entry.cost),
        ]
        for entry in timed[:_SLOWEST_TRAININGS]
    ]
    return table(["trial", "an epoch", "in all", facts.objective.heading], rows)


def failures(facts: Facts) -> Markup:
    """The reasons of failures, each with its count and its last trial."""
    reasons = Counter((entry.error or "unknown").partition(":")[0] for entry in facts.failed)
    last = {(entry.error or "unknown").partition(":")[0]: entry for entry in facts.failed}
    rows = [
        [reason, str(count), without_paths(f"trial {last[reason].number}: {last[reason].error}")]
        for reason, count in reasons.most_common()
    ]
    return table(["reason", "trainings", "the last of them"], rows)


def _seconds(entries: Sequence[Evaluation]) -> float:
    return sum(entry.seconds or 0.0 for entry in entries)
