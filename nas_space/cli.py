"""What all commands share: arguments, errors in one line, tables, numbers for people."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from nas_space import plugins
from nas_space.errors import ConvnasError
from nas_space.masking import masked

USAGE_ERROR = 2
BACKBONE = (
    "the function of yours that an exported network may call, where it is one over a network of "
    "your own"
)
"""Help of the option in commands that read exported networks."""
INTERRUPTED = 130
_WIDE_COLUMNS = 150
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmg]?)", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that loads plugins."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(*args, **options)
        self.add_argument(
            "--plugin",
            action="append",
            default=[],
            metavar="MODULE,…",
            help="Python modules of yours that add parts to convnas (docs/extending.md)",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as above
        """Parse, and load the plugins: what options name is looked up later."""
        found = super().parse_known_args(args, namespace)
        for module in ",".join(found[0].plugin).split(",") if found[0].plugin else ():
            plugins.use(module.strip())
        return found

    def error(self, message: str) -> NoReturn:
        """Print the message and the command for help, and exit with code 2."""
        # The message may repeat a URL with a password, after a misspelt option.
        self.exit(USAGE_ERROR, f"error: {_line(masked(message))} (see {self.prog} --help)\n")


def run(command: Callable[[], int]) -> int:
    """Run a command; the only place where a refusal becomes one line and exit code 2.

    Refusals are `ConvnasError`, whose message is the line, and `OSError` of the system. Any other
    error is a bug in convnas and keeps its traceback.

    Args:
        command: gives the exit code.
    """
    if sys.stdout is None:  # the caller has closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = command()
        sys.stdout.flush()
    except ConvnasError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` perhaps, has seen enough.
        _finish_output()
        return 0
    except OSError as error:
        _finish_output()
        where = f": {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}{where}")
    return code


def _refuse(reason: str) -> int:
    print(f"error: {_line(reason)}", file=sys.stderr)  # noqa: T201 - the one line
    return USAGE_ERROR


def _line(text: str) -> str:
    """A text as one line: characters that cannot be printed are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _finish_output() -> None:
    """Write the rest of the output; if that fails, drop it, or Python would complain at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def counted(number: int, thing: str) -> str:
    """A number of things, as ``1 epoch`` and ``1,200 images``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def short(number: float) -> str:
    """Write a count as people do: 831k, 12.3M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.3g}"
    return f"{number:.0f}"


class _Console(Console):
    """Leaves broken pipes to `run`."""

    def on_broken_pipe(self) -> None:
        """Raise it again; rich would end the program with code 1."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output for tables; wide if it is no terminal, so that lines are not wrapped."""
    plain = not sys.stdout.isatty()
    # Names come from users: square brackets in them are not markup.
    return _Console(width=_WIDE_COLUMNS if plain else None, highlight=False, markup=False)


def quantity(text: str) -> int:
    """Read 5M, 1.2G, 500k or 80000 as a positive whole number."""
    match = _QUANTITY.fullmatch(text.strip())
    value = float(match[1]) * _UNITS[match[2].lower()] if match else 0.0
    if not 0.5 < value < 1e18:  # noqa: PLR2004 - rounds to 1; also refuses inf
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number like 500k, 5M or 1.2G")
    return round(value)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def expanded(text: str) -> Path:
    """Read a path; a shell leaves the ~ of ``--output=~/best`` to us."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises for an unknown user


def duration(seconds: float) -> str:
    """Seconds as people write them: 45 s, 6:05 min, 2:30 h."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - an hour
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def seconds(text: str) -> float:
    """Read 5ms, 300us or 0.1s as a time."""
    match = _DURATION.fullmatch(text.strip())
    value = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0 < value < 1e6:  # noqa: PLR2004 - eleven days
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 5ms, 300us or 0.1s")
    return value
