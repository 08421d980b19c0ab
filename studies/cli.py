"""What the commands on studies share: their arguments, and what is bad input to them."""

import argparse
import re
from collections.abc import Callable

from nas_space import cli
from nas_space.architecture import InvalidArchitectureError
from nas_space.convs import InvalidChoiceError
from nas_space.spaces import UnknownSpaceError
from studies.store import DEFAULT_URL, Store, StoreError
from trainers.data import DatasetError
from trainers.recipes import UnknownRecipeError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmg]?)", re.IGNORECASE | re.ASCII)


class CommandError(ValueError):
    """A request that cannot be met; the message is the one line that the user sees."""


BAD_INPUT: tuple[type[ValueError], ...] = (
    CommandError,
    DatasetError,
    InvalidArchitectureError,
    InvalidChoiceError,
    StoreError,
    UnknownRecipeError,
    UnknownSpaceError,
)


def run(command: Callable[[], int], *more: type[ValueError]) -> int:
    """Run a command; what is bad input to any command is one line and exit code 2.

    Args:
        command: gives the exit code.
        more: errors that are bad input to this command, beside those of `BAD_INPUT`.
    """
    return cli.run(command, *BAD_INPUT, *more)


def add_study_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --study and --storage."""
    parser.add_argument(
        "--study", metavar="NAME", help="which study; may be left out if there is only one"
    )
    add_storage_argument(parser)


def add_storage_argument(parser: argparse._ActionsContainer) -> None:
    """Add --storage."""
    parser.add_argument(
        "--storage",
        metavar="URL",
        default=DEFAULT_URL,
        help="the database, as an SQLAlchemy URL (default: %(default)s)",
    )


def open_store(arguments: argparse.Namespace) -> Store:
    """The existing database that --storage names."""
    return Store(arguments.storage)


def quantity(text: str) -> int:
    """Read 5M, 1.2G, 500k or 80000 as a positive whole number."""
    match = _QUANTITY.fullmatch(text.strip())
    value = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if not 0 < value < 10**18:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number like 500k, 5M or 1.2G")
    return value


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 6:05 min, 2:30 h."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - an hour
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"
