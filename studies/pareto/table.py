"""A front as a table for people."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rich.table import Table

from nas_space.cli import short
from studies.analysis.layer_costs import legend
from studies.objective import Objective
from studies.pareto.by_hand import caption
from studies.records.tables import Evaluation
from trainers.evaluators import ACCURACY


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of numbers, which is drawn if any row has a value.

    Attributes:
        of: the text of a row; empty if it has no value.
    """

    heading: str
    of: Callable[[Evaluation], str]


_NO_MEANS: Mapping[int, float] = MappingProxyType({})
_TRIAL = _Column("trial", lambda m: str(m.number))
_COLUMNS = (
    _Column("MACs", lambda m: short(m.macs)),
    _Column("params", lambda m: short(m.params)),
    _Column("memory", lambda m: f"{short(m.activation_memory)}B" if m.activation_memory else ""),
    _Column("latency", lambda m: f"{1000 * m.latency:.3g} ms" if m.latency else ""),
)


def table(
    members: Sequence[Evaluation],
    objective: Objective,
    means: Mapping[int, float] = _NO_MEANS,
    metric: str = ACCURACY,
) -> Table:
    """A front as a table for people.

    Args:
        members: by ascending cost.
        objective: what was made small.
        means: expected accuracies by trial, see `studies.model.accuracy`; drawn if there are any.
        metric: what was made large.
    """
    drawn = Table(title=f"Pareto front: {objective.title(metric)}", title_justify="left")
    accuracy = _Column(metric, lambda m: f"{m.val_accuracy:.2%}")
    columns = [_TRIAL, accuracy]
    columns += [column for column in _COLUMNS if any(column.of(member) for member in members)]
    if objective.price is not None:
        columns.insert(2, _Column(objective.heading, lambda m: objective.write(m.cost)))
    if any(member.number in means for member in members):
        columns.insert(2, _Column("expected", lambda m: f"{means.get(m.number, math.nan):.2%}"))
    for column in columns:
        drawn.add_column(column.heading, justify="right", no_wrap=True)
    drawn.add_column("key", no_wrap=True)
    architectures = [member.parsed_architecture for member in members]
    drawn.add_column(legend(architectures), overflow="fold")
    for member, architecture in zip(members, architectures, strict=True):
        drawn.add_row(
            *(column.of(member) for column in columns),
            member.key,
            caption(architecture),
        )
    return drawn
