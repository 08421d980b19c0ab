"""`python -m studies.finalists`: the front of a search trained again, with fresh seeds."""

import argparse

from nas_space.cli import Parser, expanded, positive, run
from nas_space.programs import program
from nas_space.waiting import waiting
from studies.arguments import add_study_arguments
from trainers.recipes import RECIPES

_MOST_SEEDS = 1000


def main() -> int:
    """Train the finalists."""
    return run(_main)


def _main() -> int:
    arguments = _parser().parse_args()
    with waiting("loading torch"):
        from studies.retraining.finalists import finalists  # noqa: PLC0415 - seconds

    return finalists(arguments)


def _parser() -> Parser:
    parser = Parser(
        prog=program("studies.finalists"),
        description="Train every member of a study's front again with fresh seeds, and what a "
        "model of all trainings expects to be on it: on the training images, measured on the "
        "validation images. Draw the front anew from the means. "
        "The same command continues where it was stopped; several of them at once share the work.",
    )
    add_study_arguments(parser)
    parser.add_argument(
        "--seeds",
        type=_seeds,
        default=3,
        metavar="N",
        help="fresh seeds of each member (default: %(default)s)",
    )
    parser.add_argument(
        "--recipe",
        help=f"{', '.join(RECIPES)} (default: the search's own, which measures the winner's curse)",
    )
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="passes over the images, not the recipe's"
    )
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="trainings at a time (default: what fits)"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="try trainings that failed once more"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object, for programs")
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


def _seeds(text: str) -> int:
    count = positive(text)
    if count > _MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} seeds are too many: at most {_MOST_SEEDS}")
    return count


if __name__ == "__main__":
    raise SystemExit(main())
