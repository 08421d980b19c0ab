"""The commands to type next."""

import re

from studies.analysis.facts import Facts
from studies.cli import typed
from studies.images import option
from studies.report.html import Content, element
from studies.report.paths import without_paths


def section(facts: Facts) -> Content:
    """The commands to type next, and the commands so far."""
    again = " --retrained" if facts.retrained_front else ""
    images, rule = option(facts.study), facts.objective.rule(facts.target)
    lines = [
        f"{facts.study.command}   # continues; a larger --budget adds to it",
        on_study(facts, "pareto"),
        f"{on_study(facts, 'finalists')}{images}",
        f"{on_study(facts, 'export')}{images}{again} {rule} --retrain --output exported",
        on_study(facts, "dashboard"),
    ]
    last = facts.evaluations[-1].versions if facts.evaluations else {}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(last.items()))
    where = f"Study {facts.study.name} in {without_paths(facts.shown_url)}."
    if "…/" in without_paths("\n".join(lines)):
        where += " For “…/” say where the file lies with you: a page that is shared does not tell."
    return element(
        "section",
        element("h2", "To go on"),
        element("pre", without_paths("\n".join(lines))),
        element("p", where, class_="soft"),
        element("p", f"The last training ran with {versions}.", class_="soft") if versions else "",
    )


def without_name(command: str) -> str:
    """A command of a search without its --study."""
    return re.sub(r" --study(=| +)('[^']*'|\S+)", "", command)


def on_study(facts: Facts, name: str) -> str:
    """A command of `studies` on this study."""
    return typed(name, facts.study.name, facts.shown_url)
