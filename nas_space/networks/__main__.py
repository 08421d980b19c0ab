"""`python -m nas_space.networks`: the papers' networks, their costs beside the printed ones."""

import fnmatch
import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from nas_space.cli import Parser, console, run
from nas_space.convs import InvalidChoiceError
from nas_space.networks import Network, UnknownNetworkError, get, networks
from nas_space.networks._exact import exact


def main() -> int:
    """List the networks, or the layers of one."""
    return run(_main, UnknownNetworkError, InvalidChoiceError)


def _main() -> int:
    parser = Parser(
        prog="python -m nas_space.networks",
        description="The papers' networks, built from the operators that a search uses: their "
        "parameters and MACs (multiply-adds for one input, the papers' FLOPs), what was published, "
        "where, and whether the two agree. Names with other numbers work as well: igc-l8m4-d50.",
    )
    parser.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        help="only names like these: 'igc-*', '*resnet-50*', or names that are not listed",
    )
    parser.add_argument("--build", metavar="NAME", help="build that network and print its layers")
    parser.add_argument("--json", action="store_true", help="JSON, for programs")
    given = parser.parse_args()
    if given.build is not None:
        network = get(given.build)
        _print_json(_layers(network)) if given.json else _draw_layers(network, console())
        return 0
    chosen = list(_matching(given.patterns))
    if given.json:
        _print_json([_facts(network) for network in chosen])
        return 0
    output = console()
    # A table for each family, drawn when it is counted: all of them take half a minute.
    for paper, family in itertools.groupby(chosen, key=lambda network: network.paper):
        output.print(_table(paper, family))
    return 0


def _matching(patterns: list[str]) -> Iterable[Network]:
    if not patterns:
        yield from networks().values()
    for pattern in patterns:
        names = fnmatch.filter(networks(), pattern.lower())
        yield from (networks()[name] for name in names) if names else (get(pattern),)


def _table(paper: str, family: Iterable[Network]) -> Table:
    drawn = Table(title=paper, title_justify="left", title_style="bold")
    for heading in ("network", "parameters", "MACs"):
        drawn.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    drawn.add_column("authors' code", no_wrap=True)
    drawn.add_column("published", no_wrap=True)
    drawn.add_column("agrees, source", overflow="fold")
    for network in family:
        counts, known_exactly = network.counts(), exact().get(network.name)
        equal = "–" if known_exactly is None else _yes(known_exactly.equals(counts))
        known = (network.name, f"{counts.params:,}", f"{counts.macs:,}", equal)
        for figure in network.figures():
            agrees = figure.agrees(network)
            ours = f"ours {figure.counted.count(network):,}"
            reason = f": {figure.gap}" if figure.gap else ""
            drawn.add_row(
                *known,
                f"{figure.printed} {figure.counted.label}",
                f"{_yes(agrees)}{reason}; {ours}; {figure.source}",
            )
            known = ("", "", "", "")
        if not network.figures():
            drawn.add_row(*known, "–", "")
    return drawn


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _facts(network: Network) -> dict[str, Any]:
    counts, known = network.counts(), exact().get(network.name)
    return {
        "name": network.name,
        "paper": network.paper,
        "input": network.shape,
        "params": counts.params,
        "macs": counts.macs,
        "authors_code": None
        if known is None
        else {
            "params": known.params,
            "macs": known.macs,
            "agrees": known.equals(counts),
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


def _layers(network: Network) -> dict[str, Any]:
    return _facts(network) | {"layers": [asdict(layer) for layer in network.counts().layers]}


def _draw_layers(network: Network, output: Console) -> None:
    counts = network.counts()
    size = "×".join(map(str, network.shape))
    drawn = Table(title=f"{network.name}, for an input of {size}", title_justify="left")
    for heading in ("layer", "kernel", "channels", "output", "parameters", "MACs"):
        side = "left" if heading in {"layer", "kernel"} else "right"
        drawn.add_column(heading, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for layer in counts.layers:
        drawn.add_row(
            layer.name,
            layer.what,
            f"{layer.c_in} → {layer.c_out}",
            "×".join(map(str, layer.size)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
        )
    output.print(drawn)
    output.print(
        f"{counts.params:,} parameters ({counts.norm_params:,} of them in BN) and {counts.macs:,} "
        f"MACs (multiply-adds, the papers' FLOPs) in {len(counts.layers)} layers\n{network.paper}"
    )


def _print_json(data: object) -> None:
    print(json.dumps(data, indent=2))  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
