"""`python -m searchers.run`: the main job."""

import sys

from nas_space.cli import INTERRUPTED


def main() -> int:
    """Run a search from the command line."""
    try:
        from searchers.terminal.command import command  # noqa: PLC0415 - Ctrl-C may come meanwhile

        return command(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
