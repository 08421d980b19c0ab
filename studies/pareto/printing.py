"""The Pareto front of a study as a table, JSON or CSV."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

from nas_space.cli import console
from nas_space.devices import Profile
from nas_space.spaces.skeletons import read_architecture
from studies import objective as objectives
from studies.analysis.device import device_lines, profile_of, uses
from studies.cli import open_store
from studies.model.accuracy import better_than_measured, expected
from studies.pareto.front import front
from studies.pareto.table import table
from studies.records.fidelity import complete
from studies.records.tables import Evaluation, Study
from studies.retraining import summary
from studies.retraining.retrained_front import retrained_front

_FIELDS = (
    "trial",
    "key",
    "macs",
    "params",
    "activation_memory",
    "latency",
    "latency_device",
    "costs",
    "val_accuracy",
    "expected_accuracy",
    "by_hand",
    "architecture",
)


def show(arguments: argparse.Namespace) -> int:
    """Print the front; the exit code.

    Args:
        arguments: see `studies.pareto.command`.
    """
    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    members, means = front(complete(evaluations, study)), expected(study, evaluations)
    rows = [_as_json(member, means.get(member.number), study) for member in members]
    aim, metric = objectives.of(study), objectives.metric_of(study)
    drawn = table(members, aim, means, metric)
    if arguments.retrained:
        others = better_than_measured(study, evaluations)
        found = retrained_front(members, store.retrainings(study), others=others)
        rows = [summary.member_as_json(found, finalist) for finalist in found.front]
        drawn = summary.front_of(found, aim, metric)
    if arguments.json:
        print(json.dumps(rows, indent=2))  # noqa: T201
    elif arguments.csv:
        _write_csv(rows)
    elif rows:
        console().print(drawn)
        for line in device_lines(members, study):
            print(line)  # noqa: T201
    else:
        print("no finished evaluations yet")  # noqa: T201
    return 0


def _as_json(member: Evaluation, mean: float | None, study: Study) -> dict[str, Any]:
    profile = profile_of(study)
    takes = {} if profile is None else _takes(member, study, profile)
    return {
        "trial": member.number,
        "key": member.key,
        "macs": member.macs,
        "params": member.params,
        "activation_memory": member.activation_memory,
        "latency": member.latency,
        "latency_device": member.latency_device,
        "costs": member.costs or {},
        **takes,
        "val_accuracy": member.val_accuracy,
        "expected_accuracy": mean,
        "by_hand": member.parsed_architecture.by_hand,
        "architecture": member.architecture,
    }


def _takes(member: Evaluation, study: Study, profile: Profile) -> dict[str, Any]:
    """What a network takes of the study's device, in bytes."""
    taken = {use.memory.lower(): use.taken for use in uses(member, study, profile)}
    return {"device": profile.name, "ram": taken.get("ram"), "flash": taken.get("flash")}


def _write_csv(rows: Sequence[dict[str, Any]]) -> None:
    fields = list(rows[0]) if rows else _FIELDS
    writer = csv.DictWriter(sys.stdout, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        text = {"architecture": read_architecture(row["architecture"]).text}
        if "costs" in row:
            text["costs"] = json.dumps(row["costs"])
        writer.writerow(row | text)
