"""`python -m studies.export`: one network of a study in a folder, measured once on test."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from nas_space import extras
from nas_space.cli import Parser, expanded, positive, quantity, run, seconds
from nas_space.opsets import OPSET, OPSETS
from nas_space.programs import program
from nas_space.waiting import waiting
from studies.arguments import add_device_argument, add_study_arguments
from studies.runtimes import RUNTIMES
from trainers.recipes import FOR_THE_WINNER


def main() -> int:
    """Export a network."""
    return run(_main)


def _main() -> int:
    arguments = read()
    extras.check("onnx", "an export")
    with waiting("loading torch"):
        from studies.export.exporting import export  # noqa: PLC0415 - seconds

    export(arguments)
    return 0


def read(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line, by default that of this process; exits if it is malformed."""
    return _parser().parse_args(argv)


def _parser() -> Parser:
    parser = Parser(
        prog=program("studies.export"),
        description="Write a network of a study to a folder that needs torch and nothing of "
        "convnas: model.py, safetensors weights, ONNX, a torch.export program, a model card. Its "
        "test accuracy is measured once, here.",
    )
    add_study_arguments(parser)
    which = parser.add_argument_group("which network (of the Pareto front)")
    which.add_argument("--knee", action="store_true", help="where more cost stops paying")
    which.add_argument(
        "--max-macs", type=quantity, metavar="N", help="the most accurate within N MACs, like 5M"
    )
    which.add_argument(
        "--max-params", type=quantity, metavar="N", help="... within N parameters, like 200k"
    )
    which.add_argument(
        "--max-latency",
        type=seconds,
        metavar="T",
        help="... that takes at most T for an image on this machine, like 5ms: measured now",
    )
    which.add_argument(
        "--runtime",
        metavar="NAME",
        help=f"... in {', '.join(RUNTIMES)} (default: as the search did)",
    )
    which.add_argument("--latency-threads", type=positive, metavar="N", help="... with N threads")
    which.add_argument(
        "--min-accuracy",
        type=_accuracy,
        metavar="X",
        help="the cheapest of at least this validation accuracy, like 0.95 or 95%%, or of at "
        "least this number of your own --evaluate function",
    )
    which.add_argument(
        "--retrained",
        action="store_true",
        help=f"choose by the means of fresh seeds, see {program('studies.finalists')}",
    )
    which.add_argument("--trial", type=_number, metavar="N", help="this trial, on the front or not")
    parser.add_argument(
        "--output",
        default=Path("exported"),
        type=expanded,
        metavar="DIR",
        help="the folder to make (default: %(default)s)",
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train it anew, by default with the full recipe"
    )
    parser.add_argument("--recipe", help=f"of --retrain (default: {FOR_THE_WINNER})")
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="of --retrain, instead of the recipe's"
    )
    parser.add_argument(
        "--subset", type=positive, metavar="N", help="of --retrain: train on N of the images only"
    )
    parser.add_argument(
        "--opset",
        type=int,
        choices=OPSETS,
        default=OPSET,
        metavar="N",
        help="version of the operators in model.onnx, from %(choices)s: an older one loads in "
        "older runtimes (default: %(default)s)",
    )
    parser.add_argument(
        "--as-trained",
        action="store_true",
        help="ONNX files keep convolutions in groups also where a dense one with the same function "
        "is faster in ONNX Runtime here; --device implies it",
    )
    parser.add_argument(
        "--int8",
        nargs="?",
        const="warn",
        choices=("warn", "require"),
        help="write model.int8.onnx, too: measured beside model.onnx; 'require' refuses one that "
        "loses too much, by itself the option warns",
    )
    parser.add_argument(
        "--int8-loss",
        type=_loss,
        metavar="X",
        help="validation accuracy that int8 may lose, like 0.5%% or 0.005 (default: 1%%, which is "
        "1 point)",
    )
    add_device_argument(
        parser, "say whether the network fits it (default: the device of the study, if it has one)"
    )
    parser.add_argument(
        "--dataset", metavar="PATH", help="where the study's images lie now, if they were moved"
    )
    parser.add_argument(
        "--data-dir",
        type=expanded,
        metavar="DIR",
        help="keeps downloads (default: ~/.cache/convnas)",
    )
    return parser


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - fits 32 bits
        raise argparse.ArgumentTypeError(f"{text!r} is no trial number")
    return int(text)


def _loss(text: str) -> float:
    value = _accuracy(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no loss of accuracy like 0.005 or 0.5%")
    return value


def _accuracy(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no accuracy like 0.95 or 95%")
    return value
