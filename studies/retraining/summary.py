"""A retrained front as tables for people, and as plain values for programs."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nas_space.cli import counted, short
from nas_space.tables import Cell, Column, Fitted, Long
from studies.analysis.layer_costs import legend
from studies.objective import Objective
from studies.retraining.retrained_front import Comparison, Finalist, Mean, RetrainedFront
from trainers.metrics import ACCURACY, Metric


def all_of(found: RetrainedFront, objective: Objective, metric: Metric = ACCURACY) -> Fitted:
    """Every member of the search's front, and how it does with fresh seeds."""
    costs = _costs(objective)
    columns = (
        Column("trial"),
        *_columns(costs),
        *map(Column, ("search", "retrained", "n", "search minus retrained")),
        Column("in the new front", text=True),
    )
    rows = [
        (
            str(finalist.number),
            *(write(finalist) for write in costs.values()),
            metric.write(finalist.evaluation.val_accuracy),
            told(finalist.accuracy, metric),
            _count(finalist),
            metric.difference(finalist.difference),
            _verdict(found.comparison(finalist)),
        )
        for finalist in found.finalists
    ]
    title = f"Finalists: validation {metric.name} of fresh seeds ({found.fidelity})"
    return Fitted(columns, rows, title)


def front_of(found: RetrainedFront, objective: Objective, metric: Metric = ACCURACY) -> Fitted:
    """The new front."""
    costs = _costs(objective)
    networks = [f.evaluation.parsed_architecture for f in found.front]
    columns = (
        *map(Column, ("trial", metric.name, "n")),
        *_columns(costs),
        Column("key", left=True, wide=True),
        Column(legend(networks), text=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            str(finalist.number),
            told(finalist.accuracy, metric),
            _count(finalist),
            *(write(finalist) for write in costs.values()),
            finalist.evaluation.key,
            Long(str(network)),
        )
        for finalist, network in zip(found.front, networks, strict=True)
    ]
    title = (
        f"Pareto front: mean validation {metric.name} of fresh seeds ({found.fidelity}) against "
        f"{objective.heading}"
    )
    return Fitted(columns, rows, title)


def _columns(costs: Iterable[str]) -> Iterator[Column]:
    """Of several costs the last is spare."""
    first, *others = costs
    yield Column(first)
    yield from (Column(cost, spare=1) for cost in others)


def _costs(objective: Objective) -> dict[str, Callable[[Finalist], str]]:
    """The columns of costs; an objective other than MACs and parameters comes first."""
    usual: dict[str, Callable[[Finalist], str]] = {
        "MACs": lambda finalist: short(finalist.macs),
        "params": lambda finalist: short(finalist.params),
    }
    if objective.column in ("macs", "params"):
        return usual
    return {objective.heading: lambda finalist: objective.write(finalist.cost)} | usual


def curse_of(found: RetrainedFront, metric: Metric = ACCURACY) -> str:
    """The winner's curse in one line."""
    curse = found.curse
    if curse is None:
        return (
            f"search minus retrained is no winner's curse here: the search had not trained with "
            f"{found.fidelity}"
        )
    spread = "" if curse.half is None else f" ± {metric.write(curse.half)}, 95 % interval"
    members = f"mean of {counted(curse.count, 'member')}"
    return (
        f"winner's curse: {metric.difference(curse.value)}{spread} (search minus retrained, "
        f"{members}; on the same validation images)"
    )


def told(mean: Mean | None, metric: Metric = ACCURACY) -> str:
    """A mean accuracy with its 95 % interval, if it has one."""
    if mean is None:
        return "–"
    return metric.write(mean.value) + ("" if mean.half is None else f" ± {metric.write(mean.half)}")


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
