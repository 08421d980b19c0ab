"""`python -m studies.pareto`: the Pareto front of a study, as a table, JSON or CSV."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from nas_space.cli import Parser, console, short
from nas_space.skeletons import read_architecture
from studies import objective as objectives
from studies import standings
from studies.anatomy import legend
from studies.arguments import add_study_arguments
from studies.cli import open_store, run
from studies.fidelity import complete
from studies.front import front
from studies.objective import Objective
from studies.records import Evaluation
from studies.redrawn import redrawn

_FIELDS = (
    "trial",
    "key",
    "macs",
    "params",
    "activation_memory",
    "latency",
    "latency_device",
    "val_accuracy",
    "architecture",
)


def main() -> int:
    """Print the front."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog="python -m studies.pareto",
        description="The networks that no other beats in both validation accuracy and cost: MACs "
        "(multiply-adds per image, the papers' FLOPs), or what the search's --objective was.",
    )
    add_study_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON list, for programs")
    form.add_argument("--csv", action="store_true", help="comma-separated values")
    parser.add_argument(
        "--retrained",
        action="store_true",
        help="the front drawn anew from fresh seeds, see python -m studies.finalists",
    )
    arguments = parser.parse_args()
    store = open_store(arguments)
    study = store.study(arguments.study)
    members = front(complete(store.evaluations(study), study))
    rows = [_as_json(member) for member in members]
    drawn = table(members, objectives.of(study))
    if arguments.retrained:
        found = redrawn(members, store.retrainings(study))
        rows = [standings.member_as_json(found, finalist) for finalist in found.front]
        drawn = standings.front_of(found, objectives.of(study))
    if arguments.json:
        print(json.dumps(rows, indent=2))  # noqa: T201
    elif arguments.csv:
        _write_csv(rows)
    elif rows:
        console().print(drawn)
    else:
        print("no finished evaluations yet")  # noqa: T201
    return 0


@dataclass(frozen=True, slots=True)
class _Extra:
    """A column that is drawn where any row has it.

    Attributes:
        of: what stands in it; empty where a row does not say.
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
    architectures = [read_architecture(member.architecture) for member in members]
    drawn.add_column(legend(architectures), overflow="fold")
    for member, architecture in zip(members, architectures, strict=True):
        drawn.add_row(
            str(member.number),
            f"{member.val_accuracy:.2%}",
            short(member.macs),
            short(member.params),
            *(extra.of(member) for extra in extras),
            member.key,
            str(architecture),
        )
    return drawn


def _as_json(member: Evaluation) -> dict[str, Any]:
    return {
        "trial": member.number,
        "key": member.key,
        "macs": member.macs,
        "params": member.params,
        "activation_memory": member.activation_memory,
        "latency": member.latency,
        "latency_device": member.latency_device,
        "val_accuracy": member.val_accuracy,
        "architecture": member.architecture,
    }


def _write_csv(rows: Sequence[dict[str, Any]]) -> None:
    fields = list(rows[0]) if rows else _FIELDS
    writer = csv.DictWriter(sys.stdout, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        text = read_architecture(row["architecture"]).text
        writer.writerow(row | {"architecture": text})


if __name__ == "__main__":
    raise SystemExit(main())
