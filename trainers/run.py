"""`python -m trainers.run`: train one network with several seeds, from scratch or from weights."""

import argparse

from nas_space.cli import BACKBONE, Parser, expanded, positive, run
from nas_space.programs import program
from nas_space.waiting import waiting
from trainers.arguments import add_balance_argument, add_pixels_argument
from trainers.data.registry import DATASETS
from trainers.recipes import FOR_THE_WINNER, RECIPES

_EXAMPLES = """\
examples:
  {program} best/architecture.json
      an architecture of the search, from scratch, on the digits
  {program} best --dataset ~/photos --seeds 3
      an exported network, from scratch, three times
  {program} best --from best --epochs 20
      the same network, onwards from its weights
  {program} igc-l24m2-d20 --dataset cifar10
      a network of a paper; `{networks}` lists them

The same command continues where it was stopped or killed, on a CPU to the same numbers.
"""


def main() -> int:
    """Train a network."""
    return run(_main)


def _main() -> int:
    arguments = _parser().parse_args()
    with waiting("loading torch"):
        from trainers.runs.training import train  # noqa: PLC0415 - seconds

    return train(arguments)


def _parser() -> Parser:
    parser = Parser(
        prog=program("trainers.run"),
        description="Train one network on the training images and measure it on the validation "
        "images; test images stay closed.",
        epilog=_EXAMPLES.format(
            program=program("trainers.run"), networks=program("nas_space.networks")
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "network",
        metavar="NETWORK",
        help="an architecture (JSON file), an exported network (folder), or a paper's network",
    )
    parser.add_argument("--backbone", metavar="MODULE:FUNCTION", help=BACKBONE)
    parser.add_argument(
        "--output",
        type=expanded,
        metavar="DIR",
        help="the folder of results, weights and checkpoints (default: named after the network)",
    )
    data = parser.add_argument_group("on which images")
    data.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|PATH",
        help=f"{', '.join(DATASETS)}, a folder of images, a table of paths and labels, or "
        "module:function (default: %(default)s)",
    )
    data.add_argument(
        "--image-size", type=positive, metavar="N", help="resize a folder's images to N×N pixels"
    )
    add_pixels_argument(data)
    data.add_argument("--subset", type=positive, metavar="N", help="train on N of the images only")
    data.add_argument("--no-flip", action="store_true", help="train on no mirror images")
    data.add_argument(
        "--data-dir",
        type=expanded,
        metavar="DIR",
        help="keeps downloads (default: ~/.cache/convnas)",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--recipe",
        default=FOR_THE_WINNER,
        help=f"{', '.join(RECIPES)} (default: %(default)s)",
    )
    how.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the images, not the recipe's"
    )
    add_balance_argument(how)
    how.add_argument(
        "--from",
        dest="start",
        type=expanded,
        metavar="WEIGHTS",
        help="go on from these weights: a safetensors file, or an exported network",
    )
    how.add_argument(
        "--seeds", type=positive, default=1, metavar="N", help="how many (default: %(default)s)"
    )
    how.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="the first one (default: %(default)s)"
    )
    return parser


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - fits 32 bits
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999999")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
