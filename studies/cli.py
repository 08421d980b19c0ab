"""What the commands on studies share: how they run, and the database that they open."""

import argparse

from nas_space.cli import run
from nas_space.errors import ConvnasError
from studies.store import Store

__all__ = ["CommandError", "open_store", "run"]


class CommandError(ConvnasError):
    """A request that cannot be met; the message is the one line that the user sees."""


def open_store(arguments: argparse.Namespace) -> Store:
    """The existing database that --storage names."""
    return Store(arguments.storage)
