"""`python -m nas_space.spaces`: the search spaces, with the number of architectures in each."""

from nas_space.cli import Parser, console, run
from nas_space.programs import program
from nas_space.spaces.registry import spaces
from nas_space.tables import Column, Fitted


def main() -> int:
    """Print the spaces."""
    return run(_main)


def _main() -> int:
    Parser(
        prog=program("nas_space.spaces"),
        description="The search spaces, with the number of architectures in each.",
    ).parse_args()
    columns = (
        Column("space", left=True),
        *map(Column, ("parameters", "architectures")),
        Column("types", text=True),
    )
    rows = [
        (space.name, str(len(space.parameters)), f"{space.size():.2e}", ", ".join(space.kinds))
        for space in spaces().values()
    ]
    console().print(Fitted(columns, rows, lines=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
