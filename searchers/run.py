"""`python -m searchers.run`: the main job."""

import sys

from searchers.command import command


def main() -> int:
    """Run a search from the command line."""
    return command(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
