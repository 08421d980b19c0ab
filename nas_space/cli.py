"""What all commands share: arguments, errors in one line, tables, counts as people write them."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console

USAGE_ERROR = 2
INTERRUPTED = 130
_WIDE = 150


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where help is, and exit with code 2."""
        self.exit(USAGE_ERROR, f"error: {message} (see {self.prog} --help)\n")


def run(command: Callable[[], int], *bad_input: type[ValueError]) -> int:
    """Run a command; bad input and what the system refuses is one line and exit code 2.

    Args:
        command: gives the exit code.
        bad_input: errors whose message is the line.
    """
    try:
        code = command()
        sys.stdout.flush()
    except bad_input as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one line
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` perhaps, has seen enough. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)  # noqa: T201
        return USAGE_ERROR
    return code


def short(number: float) -> str:
    """Write a count as people do: 831k, 12.3M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.3g}"
    return f"{number:.0f}"


class _Console(Console):
    """Leaves it to `run` what happens when the reader has seen enough."""

    def on_broken_pipe(self) -> None:
        """Raise it again; rich would end the program with code 1."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output for tables; wide where it is no terminal, so that lines stay whole."""
    plain = not sys.stdout.isatty()
    # Names are the user's own: square brackets in them are no markup.
    return _Console(width=_WIDE if plain else None, highlight=False, markup=False)
