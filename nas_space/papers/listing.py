"""What `python -m nas_space.networks` prints: costs of the papers' networks beside printed ones."""

import argparse
import fnmatch
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from nas_space.cli import console
from nas_space.papers import PaperNetwork, UnknownNetworkError, get, networks
from nas_space.papers._exact import exact
from nas_space.tables import Column, Fitted


def show(given: argparse.Namespace) -> int:
    """List the networks, or the layers of one; the exit code.

    Args:
        given: see `nas_space.networks`.

    Raises:
        UnknownNetworkError: no network's name is like one of the patterns.
    """
    if given.build is not None:
        network = get(given.build)
        _print_json(_layers(network)) if given.json else _draw_layers(network, console())
        return 0
    chosen = dict.fromkeys(_matching(given.patterns))
    if given.json:
        _print_json([_facts(network) for network in chosen])
        return 0
    # Line by line as they are counted: all of them take most of a minute.
    for paper, family in itertools.groupby(chosen, key=lambda network: network.paper):
        print(f"\n{paper}\n{_HEAD}")  # noqa: T201
        for network in family:
            print(*_lines(network), sep="\n", flush=True)  # noqa: T201
    return 0


def _matching(patterns: list[str]) -> Iterable[PaperNetwork]:
    if not patterns:
        yield from networks().values()
    for pattern in patterns:
        names = fnmatch.filter(networks(), pattern.lower())
        if not names and set(pattern) & set("*?["):
            raise UnknownNetworkError(f"no network's name is like {pattern!r}")
        yield from (networks()[name] for name in names) if names else (get(pattern),)


_HEAD = f"{'network':34}{'parameters':>11}{'MACs':>16}  exact counts"


def _lines(network: PaperNetwork) -> Iterator[str]:
    """A line for a network, and one for each published figure, in 80 columns if they can be."""
    counts, known = network.counts(), exact().get(network.name)
    equal = "–" if known is None else f"{_yes(known.equals(counts))} ({known.how})"
    yield f"{network.name:34}{counts.params:>11,}{counts.macs:>16,}  {equal}"
    for figure in network.figures():
        figures = f"{figure.printed} {figure.counted.label}"
        yield f"    printed {figures}: {_yes(figure.agrees(network))} ({figure.source})"
        if figure.gap:
            yield f"      ours {figure.counted.count(network):,}: {figure.gap}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _facts(network: PaperNetwork) -> dict[str, Any]:
    counts, known = network.counts(), exact().get(network.name)
    return {
        "name": network.name,
        "paper": network.paper,
        "input": network.shape,
        "params": counts.params,
        "macs": counts.macs,
        "exact": None
        if known is None
        else {
            "params": known.params,
            "macs": known.macs,
            "agrees": known.equals(counts),
            "how": known.how,
            "source": known.source,
        },
        "published": [
            {
                "printed": figure.printed,
                "counted": figure.counted.label,
                "ours": figure.counted.count(network),
                "agrees": figure.agrees(network),
                "gap": figure.gap or None,
                "source": figure.source,
            }
            for figure in network.figures()
        ],
    }


def _layers(network: PaperNetwork) -> dict[str, Any]:
    return _facts(network) | {"layers": [asdict(layer) for layer in network.counts().layers]}


def _draw_layers(network: PaperNetwork, output: Console) -> None:
    counts = network.counts()
    size = "×".join(map(str, network.shape))
    columns = (
        Column("layer", left=True),
        Column("kernel", text=True),
        Column("channels"),
        Column("output", spare=1),
        Column("parameters"),
        Column("MACs"),
    )
    rows = [
        (
            layer.name,
            layer.what,
            f"{layer.c_in} → {layer.c_out}",
            "×".join(map(str, layer.size)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
        )
        for layer in counts.layers
    ]
    output.print(Fitted(columns, rows, f"{network.name}, for an input of {size}"))
    output.print(
        f"{counts.params:,} parameters ({counts.norm_params:,} of them in BN) and {counts.macs:,} "
        f"MACs (multiply-adds, the papers' FLOPs) in {len(counts.layers)} layers\n{network.paper}"
    )


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=2))  # noqa: T201
