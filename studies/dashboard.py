"""`python -m studies.dashboard`: Optuna's dashboard on a study, with our networks in it."""

import argparse

from nas_space import extras
from nas_space.cli import Parser, run
from nas_space.programs import program
from nas_space.waiting import waiting
from studies.arguments import add_study_arguments

_FIRST_PORT = 8080
_TRIED_PORTS = 50
"""How many ports are tried, from the first."""


def main() -> int:
    """Serve the dashboard until it is interrupted."""
    return run(_main)


def _main() -> int:
    arguments = _parser().parse_args()
    extras.check("dashboard", "the dashboard")
    with waiting("loading the dashboard"):
        from studies.serving import serve  # noqa: PLC0415 - seconds

    given: int | None = arguments.port
    return serve(arguments, [given] if given else range(_FIRST_PORT, _FIRST_PORT + _TRIED_PORTS))


def _parser() -> Parser:
    parser = Parser(
        prog=program("studies.dashboard"),
        description="Optuna's dashboard on this machine, on the database of a study; trials of the "
        "front have a note that shows the network layer by layer.",
    )
    add_study_arguments(parser)
    parser.add_argument(
        "--port", type=_port, metavar="N", help=f"default: the first free one from {_FIRST_PORT}"
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 2**16):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
