"""`python -m nas_space.networks`: the papers' networks, and what they cost.

In Python: ``nas_space.networks.get("igc-l24m2-d20").build()``.
"""

from typing import TYPE_CHECKING

from nas_space.cli import Parser, run
from nas_space.programs import program
from nas_space.waiting import waiting

if TYPE_CHECKING:
    from nas_space.papers import (
        Counts,
        Figure,
        PaperNetwork,
        UnknownNetworkError,
        families,
        get,
        networks,
    )

__all__ = ["Counts", "Figure", "PaperNetwork", "UnknownNetworkError", "families", "get", "networks"]


def __getattr__(name: str) -> object:
    """Import a name of `__all__` when it is used: torch takes seconds, and --help none."""
    from nas_space import papers  # noqa: PLC0415 - seconds

    if name in __all__:
        return getattr(papers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> int:
    """List the networks, or the layers of one."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("nas_space.networks"),
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
    if given.build is not None and given.patterns:
        parser.error("--build takes one name, and no patterns")
    with waiting("loading torch"):
        from nas_space.papers.listing import show  # noqa: PLC0415 - seconds

    return show(given)


if __name__ == "__main__":
    raise SystemExit(main())
