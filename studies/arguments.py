"""The arguments that say which study, in which database."""

import argparse
import os
import re

from nas_space.programs import program

DEFAULT_URL = "sqlite:///convnas.db"
STORAGE_VARIABLE = "CONVNAS_STORAGE"


def default_url() -> str:
    """The database where none is given: what the environment says, or a file here.

    A password does not belong on a command line, which every user of the machine can read.
    """
    return with_driver(os.environ.get(STORAGE_VARIABLE) or DEFAULT_URL)


def with_driver(url: str) -> str:
    """A URL of PostgreSQL as its servers and clouds give it, with the driver that we bring."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def add_device_argument(parser: argparse._ActionsContainer, purpose: str) -> None:
    """Add --device."""
    parser.add_argument(
        "--device",
        metavar="PROFILE",
        help=f"{purpose}: a name that {program('nas_space.devices')} lists, or a file of yours "
        "like my_board.toml (docs/devices.md)",
    )


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
        default=default_url(),
        # Not the default itself, which may have a password.
        help=f"the database, as an SQLAlchemy URL (default: ${STORAGE_VARIABLE}, or {DEFAULT_URL} "
        "where that is not set)",
    )
