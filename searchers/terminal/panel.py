"""A search on a terminal: its progress, its front, and its latest trials."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas_space.cli import counted, duration
from searchers.schedule.counts import Snapshot
from studies.objective import Objective
from studies.pareto.by_hand import caption
from studies.records.tables import Evaluation, Status

_BAR_CHARACTERS = 24
_SHOWN_MEMBERS = 6
_LEVELS = "▁▂▃▄▅▆▇█"


def drawn(
    snapshot: Snapshot, objective: Objective, said: str, seconds: float, width: int
) -> RenderableType:
    """The panel.

    Args:
        snapshot: the state of the search.
        objective: what is made small.
        said: the snapshot as a line.
        seconds: since the search began.
        width: of the terminal, in characters.
    """
    share = min(1.0, snapshot.spent / snapshot.budget)
    full = "━" * round(_BAR_CHARACTERS * share)
    bar = f"{full:{'─'}<{_BAR_CHARACTERS}} {share:4.0%}  {duration(seconds)} so far"
    parts: list[RenderableType] = [
        Text(f"{bar}  {sparkline(snapshot.course)}", no_wrap=True, overflow="ellipsis"),
        Text(said, no_wrap=width >= len(said)),
    ]
    if snapshot.front:
        parts.append(_front(snapshot, objective))
    if snapshot.latest:
        parts.append(_latest(snapshot, objective))
    return Group(*parts)


def sparkline(values: Sequence[float]) -> str:
    """Values as a row of bars, from the least to the greatest of them."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    run = (high - low) or 1.0
    return "".join(_LEVELS[round((value - low) / run * (len(_LEVELS) - 1))] for value in values)


def _front(snapshot: Snapshot, objective: Objective) -> Table:
    """The front; of a long one, evenly spaced members."""
    members, metric = snapshot.front, snapshot.metric
    last = len(members) - 1
    shown = min(len(members), _SHOWN_MEMBERS)
    places = sorted({round(at * last / max(1, shown - 1)) for at in range(shown)})
    some = "" if shown == len(members) else f", {shown} of {len(members)}"
    table = _table(f"front{some}", metric.name, objective.heading, "")
    for member in (members[place] for place in places):
        table.add_row(
            str(member.number),
            metric.write(member.val_accuracy),
            objective.write(member.cost),
            caption(member.parsed_architecture),
        )
    return table


def _latest(snapshot: Snapshot, objective: Objective) -> Table:
    metric = snapshot.metric
    table = _table("latest", metric.name, objective.heading, "")
    for entry in snapshot.latest:
        failed = entry.status is Status.FAILED
        table.add_row(
            str(entry.number),
            "failed" if failed else metric.write(entry.val_accuracy),
            objective.write(entry.cost),
            _told(entry),
            style="red" if failed else None,
        )
    return table


def _told(entry: Evaluation) -> str:
    if entry.status is Status.FAILED:
        return entry.error or ""
    epochs = counted(entry.epochs, "epoch")
    onwards = f" ({entry.start} of a checkpoint)" if entry.start else ""
    return f"{epochs}{onwards}, {entry.seconds or 0.0:.1f} s"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in headings[:-1]:
        table.add_column(heading, justify="right", no_wrap=True, min_width=8)
    table.add_column(headings[-1], no_wrap=True, overflow="ellipsis")
    return table
