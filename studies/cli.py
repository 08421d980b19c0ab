"""What the commands on studies share: the database they open, and what is bad input to them."""

import argparse
import shlex
from collections.abc import Callable

from nas_space import cli
from nas_space.architecture import InvalidArchitectureError
from nas_space.convs import InvalidChoiceError
from nas_space.space import UnknownSpaceError
from studies.arguments import DEFAULT_URL
from studies.records.database import StoreError
from studies.records.store import Store
from trainers.data import DatasetError
from trainers.recipes import UnknownRecipeError


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


def open_store(arguments: argparse.Namespace) -> Store:
    """The existing database that --storage names."""
    return Store(arguments.storage)


def typed(command: str, study: str, shown_url: str) -> str:
    """A command on a study, as a person types it here.

    Args:
        command: the last part of the module's name, such as ``pareto``.
        study: its name.
        shown_url: the database, without a password.
    """
    where = "" if shown_url == DEFAULT_URL else f" --storage {shlex.quote(shown_url)}"
    return f"{cli.runner()}python -m studies.{command} --study {shlex.quote(study)}{where}"
