"""`python -m studies.show`: one network of a study, layer by layer, with the costs."""

import json
from dataclasses import asdict

from nas_space.cli import Parser, console, counted, short
from nas_space.costs.cost import Cost
from nas_space.programs import program
from nas_space.tables import Column, Fitted
from studies.analysis.layer_costs import LayerRow, layer_costs, task_of
from studies.arguments import add_study_arguments
from studies.cli import CommandError, open_store, run
from studies.objective import metric_of
from studies.records.tables import Evaluation, Status, Study

_BAR_CHARACTERS = 20
"""Characters of the longest bar."""


def main() -> int:
    """Show a network."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.show"),
        description="One network of a study, layer by layer, with the share of its MACs "
        "(multiply-adds per image, the papers' FLOPs) that each takes.",
    )
    parser.add_argument("trial", metavar="TRIAL", help="its number, as studies.pareto shows it")
    add_study_arguments(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="count the built network as well, by torch's counter and by thop; exit code 1 if they "
        "differ from what stands in the database",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object, for programs")
    arguments = parser.parse_args()
    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    shown = next((e for e in evaluations if str(e.number) == arguments.trial), None)
    if shown is None:
        raise CommandError(
            f"no trial {arguments.trial!r} in study {study.name}; "
            + (f"it has 0 to {len(evaluations) - 1}" if evaluations else "it has none yet")
        )
    layers = list(layer_costs(shown.parsed_architecture, task_of(study)))
    if arguments.json:
        print(json.dumps(_as_json(shown, layers), indent=2))  # noqa: T201
        return 0
    print(_headline(shown, study))  # noqa: T201
    console().print(_table(layers))
    return _checked(shown, study) if arguments.check else 0


def _checked(shown: Evaluation, study: Study) -> int:
    """Print what two other counters say; the exit code."""
    # Torch takes seconds to import, and only this needs it.
    from nas_space.costs.by_thop import thop_count  # noqa: PLC0415
    from nas_space.costs.counting import count  # noqa: PLC0415
    from nas_space.spaces.building import build  # noqa: PLC0415

    task, stored = task_of(study), Cost(shown.params, shown.macs)
    network = build(shown.parsed_architecture, task.channels, task.classes)
    counters = {"torch": count, "thop": thop_count}
    found = {name: by(network, (task.channels, *task.size)) for name, by in counters.items()}
    for name, cost in {"stored": stored, **found}.items():
        print(f"{name:6} {cost.macs:>13,} MACs {cost.params:>11,} parameters")  # noqa: T201
    return int(any(cost != stored for cost in found.values()))


def _as_json(shown: Evaluation, layers: list[LayerRow]) -> dict[str, object]:
    names = ("key", "val_accuracy", "epochs", "macs", "params", "error", "architecture")
    told = {name: getattr(shown, name) for name in names} | {"costs": shown.costs or {}}
    drawn = [asdict(row) for row in layers]
    return {"trial": shown.number, "status": shown.status.value, **told, "layers": drawn}


def _headline(shown: Evaluation, study: Study) -> str:
    cost = f"{short(shown.macs)} MACs, {short(shown.params)} parameters"
    start = f"trial {shown.number} of study {study.name} ({shown.key}): {cost}"
    if shown.status is Status.FAILED:
        return f"{start}; failed: {shown.error}"
    full = study.recipe["epochs"]
    partial = f" of {full}, a partial training" * (shown.epochs < full)
    metric = metric_of(study)
    score = f"{metric.write(shown.val_accuracy)} {metric.name} on validation"
    return f"{start}; {score} after {counted(shown.epochs, 'epoch')}{partial}"


def _table(layers: list[LayerRow]) -> Fitted:
    total, most = sum(row.macs for row in layers), max(row.macs for row in layers)
    columns = (
        Column("layer", left=True),
        Column("convolution", text=True),
        Column("channels", spare=1),
        Column("map", spare=2),
        Column("params", spare=3),
        Column("MACs"),
        Column("share"),
        Column("", left=True, wide=True),
    )
    rows = [
        (
            row.layer,
            row.convolution,
            f"{row.channels[0]}→{row.channels[1]}",
            f"{row.size[0]}×{row.size[1]}{' /2' * (row.stride > 1)}",
            short(row.params),
            short(row.macs),
            f"{row.macs / total:.1%}",
            "█" * round(_BAR_CHARACTERS * row.macs / most) or "▏",
        )
        for row in layers
    ]
    return Fitted(columns, rows, lines=False)


if __name__ == "__main__":
    raise SystemExit(main())
