"""`python -m nas_space.spaces`: the search spaces, with the number of architectures in each."""

from nas_space.cli import Parser, run
from nas_space.programs import program
from nas_space.spaces.registry import spaces


def main() -> int:
    """Print the spaces."""
    return run(_main)


def _main() -> int:
    Parser(
        prog=program("nas_space.spaces"),
        description="The search spaces, with the number of architectures in each.",
    ).parse_args()
    print(f"{'space':12} {'parameters':>10} {'architectures':>14}  types")  # noqa: T201
    for space in spaces().values():
        size = f"{space.size():.2e}"
        print(  # noqa: T201
            f"{space.name:12} {len(space.parameters):>10} {size:>14}  {', '.join(space.kinds)}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
