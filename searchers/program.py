"""`convnas COMMAND`: every command behind one word."""

import importlib
import os
import sys

from nas_space.cli import USAGE_ERROR, run
from nas_space.programs import COMMANDS, NAME


def main() -> int:
    """Run the command that the first argument names, with the others.

    Functions of the user's, such as ``mine:network``, are found in the current folder, behind all
    that is installed: a folder ``trainers`` there hides nothing of convnas.
    """
    return run(_main)


def _main() -> int:
    first, *rest = sys.argv[1:] or ["--help"]
    if first in ("-h", "--help"):
        print(_help())  # noqa: T201 - what the user asked for
        return 0
    known = {command.name: command for command in COMMANDS}
    if first not in known:
        print(  # noqa: T201 - as above
            f"error: unknown command {first}; known commands: {', '.join(known)}", file=sys.stderr
        )
        return USAGE_ERROR
    sys.argv[1:] = rest
    sys.path.append(os.getcwd())  # noqa: PTH109 - a text, as the path has them
    code: int = importlib.import_module(known[first].entry).main()
    return code


def _help() -> str:
    lines = [f"  {command.name:<10} {command.purpose}" for command in COMMANDS]
    example = f"{NAME} search --space mixed --budget 20"
    return "\n".join(
        (
            f"usage: {NAME} COMMAND ...",
            "",
            "Which convolution belongs in which layer? A search for small CNNs.",
            "",
            *lines,
            "",
            f"{NAME} COMMAND --help tells its options. To begin:",
            f"  {example}",
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
