"""What the commands on studies share: how they run, and the database that they open."""

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


class CommandError(ConvnasError):
    """A request that cannot be met; the message is the one line that the user sees."""


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
