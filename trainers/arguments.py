"""Arguments of several commands: how image files are read, and what makes classes equal."""

import argparse

from nas_space.cli import quantity
from trainers.data.reading import MAX_PIXELS
from trainers.recipes import BALANCES, NO_BALANCE


def add_pixels_argument(parser: argparse._ActionsContainer) -> None:
    """Add --max-pixels."""
    parser.add_argument(
        "--max-pixels",
        type=quantity,
        default=MAX_PIXELS,
        metavar="N",
        help="most pixels of an image file, like 400M for large scans: a file of a few bytes may "
        "say that it is of thousands of millions (default: %(default)s)",
    )


def add_balance_argument(parser: argparse._ActionsContainer) -> None:
    """Add --balance."""
    parser.add_argument(
        "--balance",
        choices=BALANCES,
        default=NO_BALANCE,
        help="how classes of different sizes are trained on: weights counts all classes alike in "
        "the loss, sampling draws all as often (default: %(default)s)",
    )
