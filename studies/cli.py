"""What the commands on studies share."""

import argparse
import shlex

from nas_space import plugins
from nas_space.cli import run
from nas_space.errors import ConvnasError
from nas_space.masking import masked
from nas_space.programs import program, runner
from studies.arguments import default_url
from studies.records.store import Store

__all__ = ["CommandError", "open_store", "run", "typed"]


class CommandError(ConvnasError):
    """A request that cannot be met; the message is the one line that the user sees."""


def open_store(arguments: argparse.Namespace) -> Store:
    """The existing database that --storage names."""
    return Store(arguments.storage)


def typed(command: str, study: str, shown_url: str) -> str:
    """A command on a study, as a user types it here.

    Args:
        command: the last part of the module's name, such as ``pareto``.
        study: its name.
        shown_url: the database, without a password.
    """
    where = "" if shown_url == masked(default_url()) else f" --storage {shlex.quote(shown_url)}"
    where += "".join(f" --plugin {shlex.quote(module)}" for module in plugins.named())
    return f"{runner()}{program(f'studies.{command}')} --study {shlex.quote(study)}{where}"
