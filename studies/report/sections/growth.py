"""How the front grew with training, compared with another search."""

from collections.abc import Sequence

from studies.analysis.course import Step, course
from studies.analysis.facts import Facts
from studies.pareto.front import accuracy_of
from studies.report.charts import Axis, Chart
from studies.report.html import Content, Markup, element, table
from studies.report.paths import without_paths
from studies.report.sections.commands import on_study, without_name
from trainers.metrics import Metric


def section(facts: Facts, against: Facts | None) -> Content:
    """Hypervolume over training; without another study, the command that makes one."""
    box = facts.box
    known = [*facts.complete, *(against.complete if against else ())]
    floor = facts.metric.floor(min(map(accuracy_of, known), default=0.0))
    lines = {facts.study.name: course(facts.evaluations, facts.study.recipe["epochs"], box, floor)}
    explained = (
        f"{_height(facts.metric, floor)}{facts.objective.heading} on a log scale from "
        f"{facts.objective.write(box[0])} to {facts.objective.write(box[1])}), over the epochs of "
        "all trainings, partial ones too, counted in full trainings."
    )
    parts: list[Content] = [element("h2", "How the front grew"), element("p", explained)]
    if against is not None:
        full = against.study.recipe["epochs"]
        lines[against.study.name] = course(against.evaluations, full, box, floor)
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
        command = f"{without_name(facts.study.command)} --sampler random --study random"
        parts.append(element("p", "What random search finds for the same cost, to compare with:"))
        typed = f"{command}\n{on_study(facts, 'report')} --against random"
        parts.append(element("pre", without_paths(typed)))
    return element("section", parts)


def _height(metric: Metric, floor: float) -> str:
    if metric.is_share:
        return f"The share of the box that the front dominates ({metric.name} from 0 to 1, "
    return f"The mean {metric.name} of the front above {floor:.4g}, over all costs ("


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
