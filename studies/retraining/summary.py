"""A retrained front as tables for people, and as plain values for programs."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from nas_space.cli import short
from studies.analysis.layer_costs import legend
from studies.objective import Objective
from studies.retraining.retrained_front import Comparison, Finalist, Mean, RetrainedFront


def all_of(found: RetrainedFront, objective: Objective) -> Table:
    """Every member of the search's front, and how it does with fresh seeds."""
    drawn = _table(
        f"Finalists: validation accuracy of fresh seeds ({found.fidelity})",
        ("trial", *_costs(objective), "search", "retrained", "n", "search minus retrained"),
    )
    drawn.add_column("in the new front", no_wrap=True)
    for finalist in found.finalists:
        drawn.add_row(
            str(finalist.number),
            *(write(finalist) for write in _costs(objective).values()),
            f"{finalist.evaluation.val_accuracy:.2%}",
            told(finalist.accuracy),
            _count(finalist),
            "–" if finalist.difference is None else f"{finalist.difference:+.2%}",
            _verdict(found.comparison(finalist)),
        )
    return drawn


def front_of(found: RetrainedFront, objective: Objective) -> Table:
    """The new front."""
    drawn = _table(
        f"Pareto front: mean validation accuracy of fresh seeds ({found.fidelity}) against "
        f"{objective.heading}",
        ("trial", "accuracy", "n", *_costs(objective)),
    )
    drawn.add_column("key", no_wrap=True)
    networks = [f.evaluation.parsed_architecture for f in found.front]
    drawn.add_column(legend(networks), overflow="fold")
    for finalist, network in zip(found.front, networks, strict=True):
        drawn.add_row(
            str(finalist.number),
            told(finalist.accuracy),
            _count(finalist),
            *(write(finalist) for write in _costs(objective).values()),
            finalist.evaluation.key,
            str(network),
        )
    return drawn


def _costs(objective: Objective) -> dict[str, Callable[[Finalist], str]]:
    """The columns of costs; an objective other than MACs and parameters comes first."""
    usual: dict[str, Callable[[Finalist], str]] = {
        "MACs": lambda finalist: short(finalist.macs),
        "params": lambda finalist: short(finalist.params),
    }
    if objective.column in ("macs", "params"):
        return usual
    return {objective.heading: lambda finalist: objective.write(finalist.cost)} | usual


def curse_of(found: RetrainedFront) -> str:
    """The winner's curse in one line."""
    curse = found.curse
    if curse is None:
        return (
            f"search minus retrained is no winner's curse here: the search had not trained with "
            f"{found.fidelity}"
        )
    spread = "" if curse.half is None else f" ± {curse.half:.2%}, 95 % interval"
    members = f"mean of {curse.count} member{'s' * (curse.count != 1)}"
    return (
        f"winner's curse: {curse.value:+.2%}{spread} (search minus retrained, {members}; on the "
        "same validation images)"
    )


def told(mean: Mean | None) -> str:
    """A mean accuracy with its 95 % interval, if it has one."""
    if mean is None:
        return "–"
    return f"{mean.value:.2%}" + ("" if mean.half is None else f" ± {mean.half:.2%}")


def as_json(found: RetrainedFront) -> dict[str, Any]:
    """Everything as plain values; intervals are half the 95 % interval."""
    curse = found.curse
    return {
        "recipe": found.fidelity.recipe,
        "epochs": found.fidelity.epochs,
        "finalists": [_plain(found, finalist) for finalist in found.finalists],
        "winners_curse": None
        if curse is None
        else {"mean": curse.value, "interval": curse.half, "n": curse.count},
    }


def member_as_json(found: RetrainedFront, finalist: Finalist) -> dict[str, Any]:
    """A member of the new front, with the names that `studies.pareto` uses."""
    mean = finalist.accuracy
    return {
        "trial": finalist.number,
        "key": finalist.evaluation.key,
        "macs": finalist.macs,
        "params": finalist.params,
        "val_accuracy": finalist.val_accuracy,
        "interval": None if mean is None else mean.half,
        "n": 0 if mean is None else mean.count,
        "recipe": found.fidelity.recipe,
        "epochs": found.fidelity.epochs,
        "search_accuracy": finalist.evaluation.val_accuracy,
        "architecture": finalist.evaluation.architecture,
    }


def _plain(found: RetrainedFront, finalist: Finalist) -> dict[str, Any]:
    comparison = found.comparison(finalist)
    rival = None if comparison is None else comparison.rival
    return member_as_json(found, finalist) | {
        "failed": finalist.failed,
        "difference": finalist.difference,
        "front": comparison is not None and comparison.stays,
        "clear": comparison is not None and comparison.clear,
        "rival": None if rival is None else rival.number,
    }


def _table(title: str, headings: Sequence[str]) -> Table:
    drawn = Table(title=title, title_justify="left")
    for heading in headings:
        drawn.add_column(heading, justify="right", no_wrap=True)
    return drawn


def _count(finalist: Finalist) -> str:
    count = 0 if finalist.accuracy is None else finalist.accuracy.count
    return f"{count}, {finalist.failed} failed" if finalist.failed else str(count)


def _verdict(comparison: Comparison | None) -> str:
    if comparison is None:
        return "none finished"
    if comparison.rival is None:
        return "stays"
    said = "stays" if comparison.stays else f"no: trial {comparison.rival.number} beats it"
    return said if comparison.clear else f"{said}, within the intervals"
