"""A front as a table for people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from nas_space.cli import short
from nas_space.tables import Column, Fitted
from studies.analysis.layer_costs import legend
from studies.objective import Objective
from studies.pareto.by_hand import cell
from studies.records.tables import Evaluation
from trainers.metrics import ACCURACY, Metric


@dataclass(frozen=True, slots=True)
class _Number:
    """A column of numbers, which is drawn if any row has a value.

    Attributes:
        of: the text of a row; empty if it has no value.
        cost: which one it is, as `Objective.column` has it; the objective's own column stays.
        wide: see `nas_space.tables.Column`.
        spare: likewise.
    """

    heading: str
    of: Callable[[Evaluation], str]
    cost: str = ""
    wide: bool = False
    spare: int = 0


_NO_MEANS: Mapping[int, float] = MappingProxyType({})
_TRIAL = _Number("trial", lambda m: str(m.number))
_COSTS = (
    _Number("MACs", lambda m: short(m.macs)),
    _Number("params", lambda m: short(m.params), "params", spare=1),
    _Number(
        "memory",
        lambda m: f"{short(m.activation_memory)}B" if m.activation_memory else "",
        "activation_memory",
        wide=True,
    ),
    _Number("latency", lambda m: f"{1000 * m.latency:.3g} ms" if m.latency else ""),
)


def table(
    members: Sequence[Evaluation],
    objective: Objective,
    means: Mapping[int, float] = _NO_MEANS,
    metric: Metric = ACCURACY,
) -> Fitted:
    """A front as a table for people.

    Args:
        members: by ascending cost.
        objective: what was made small.
        means: expected accuracies by trial, see `studies.model.accuracy`; drawn if there are any.
        metric: what was made large.
    """
    numbers = [_TRIAL, _Number(metric.name, lambda m: metric.write(m.val_accuracy))]
    if any(member.number in means for member in members):
        numbers.append(_Number("expected", lambda m: metric.write(means.get(m.number))))
    if objective.price is not None:
        numbers.append(_Number(objective.heading, lambda m: objective.write(m.cost)))
    numbers += [cost for cost in _COSTS if any(cost.of(member) for member in members)]
    architectures = [member.parsed_architecture for member in members]
    return Fitted(
        (
            *(_column(number, objective) for number in numbers),
            Column("key", left=True, wide=True),
            Column(legend(architectures), text=True),
        ),
        [
            (*(number.of(member) for number in numbers), member.key, cell(architecture))
            for member, architecture in zip(members, architectures, strict=True)
        ],
        f"Pareto front: {objective.title(metric)}",
    )


def _column(number: _Number, objective: Objective) -> Column:
    if number.cost == objective.column:
        return Column(number.heading)
    return Column(number.heading, wide=number.wide, spare=number.spare)
