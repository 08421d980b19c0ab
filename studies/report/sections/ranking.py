"""Numbers that rank networks before they are fully trained, as a table."""

from collections.abc import Mapping, Sequence

from nas_space.cli import counted
from studies.analysis.facts import Facts
from studies.analysis.rank_correlation import FEWEST_NETWORKS, baselines, rank_correlations
from studies.report.html import Content, element, table

Numbers = Mapping[str, Sequence[float]]
"""For each score its values for the fully trained networks, in their order."""


def section(facts: Facts, scores: Numbers) -> Content:
    """The rank correlations of numbers that are free, and of scores if they were computed.

    Args:
        facts: of the study.
        scores: that need no training; empty if they were not asked for.
    """
    parts: list[Content] = [element("h2", "What ranks networks before they are trained")]
    if len(facts.complete) < FEWEST_NETWORKS:
        told = f"Fewer than {FEWEST_NETWORKS} full trainings say nothing of this."
        return element("section", [*parts, element("p", told, class_="soft")])
    if facts.constant:
        told = "All networks are equally accurate: there is no order to guess."
        return element("section", [*parts, element("p", told, class_="soft")])
    found = rank_correlations(
        _free(facts) | dict(scores), [e.val_accuracy or 0.0 for e in facts.complete]
    )
    parts += [
        element("p", _EXPLANATION),
        table(_HEADINGS, [list[Content](row.texts) for row in found]),
    ]
    if not scores:
        told = "Zero-cost scores beside them: studies.report --scores, which takes a while."
        parts.append(element("p", told, class_="soft"))
    return element("section", parts)


_HEADINGS = ["number", "Spearman's rho", "95 %", "Kendall's tau", "beyond MACs, params", "helps"]
_EXPLANATION = (
    "Rank correlation with validation accuracy among the fully trained networks. A number helps if "
    "it ranks better than the better of parameters and MACs with 95 % confidence. Accuracies of "
    "lower rungs are those of networks that went on because of them, which makes them look worse "
    "than they are."
)


def _free(facts: Facts) -> dict[str, list[float]]:
    """Parameters, MACs, and accuracies on the rungs that all networks were on."""
    numbers = baselines(facts.complete)
    for epochs in sorted({entry.epochs for entry in facts.partial}):
        then = {
            (entry.key, entry.seed): entry.val_accuracy or 0.0
            for entry in facts.partial
            if entry.epochs == epochs
        }
        rung = [then.get((entry.key, entry.seed)) for entry in facts.complete]
        known = [accuracy for accuracy in rung if accuracy is not None]
        if len(known) == len(rung):
            numbers[f"accuracy after {counted(epochs, 'epoch')}"] = known
    return numbers
