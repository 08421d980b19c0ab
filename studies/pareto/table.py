"""A front as a table for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from nas_space.cli import short
from studies.analysis.layer_costs import legend
from studies.objective import Objective
from studies.pareto.by_hand import caption
from studies.records.tables import Evaluation


@dataclass(frozen=True, slots=True)
class _Extra:
    """A column that is drawn if any row has a value.

    Attributes:
        of: the text of a row; empty if it has no value.
    """

    heading: str
    of: Callable[[Evaluation], str]


_EXTRAS = (
    _Extra("memory", lambda m: f"{short(m.activation_memory)}B" if m.activation_memory else ""),
    _Extra("latency", lambda m: f"{1000 * m.latency:.3g} ms" if m.latency else ""),
)


def table(members: Sequence[Evaluation], objective: Objective) -> Table:
    """A front as a table for people."""
    drawn = Table(title=f"Pareto front: {objective.title}", title_justify="left")
    extras = [extra for extra in _EXTRAS if any(extra.of(member) for member in members)]
    for heading in ("trial", "accuracy", "MACs", "params", *(extra.heading for extra in extras)):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("key", no_wrap=True)
    architectures = [member.parsed_architecture for member in members]
    drawn.add_column(legend(architectures), overflow="fold")
    for member, architecture in zip(members, architectures, strict=True):
        drawn.add_row(
            str(member.number),
            f"{member.val_accuracy:.2%}",
            short(member.macs),
            short(member.params),
            *(extra.of(member) for extra in extras),
            member.key,
            caption(architecture),
        )
    return drawn
