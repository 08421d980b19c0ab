"""The arguments that say how image files are read."""

import argparse

from nas_space.cli import quantity
from trainers.data.reading import MAX_PIXELS


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
