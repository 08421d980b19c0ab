"""The arguments that say which study, in which database."""

import argparse

DEFAULT_URL = "sqlite:///convnas.db"


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
