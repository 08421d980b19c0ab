"""`python -m studies.report`: a search as one HTML page."""

from contextlib import closing

from nas_space.cli import Parser, expanded, run
from nas_space.programs import program
from nas_space.waiting import waiting
from studies.arguments import add_study_arguments


def main() -> int:
    """Write the report."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.report"),
        description="A study as one HTML page that needs no network: the Pareto front, which "
        "convolution won in which layer, how the front grew, what matters, where the time went.",
    )
    add_study_arguments(parser)
    parser.add_argument(
        "--against", metavar="STUDY", help="another study, whose hypervolume is drawn beside it"
    )
    parser.add_argument(
        "--output", type=expanded, metavar="FILE", help="default: the study's name and .html"
    )
    parser.add_argument(
        "--picture",
        type=expanded,
        metavar="FILE",
        help="the front alone as well, as an SVG picture",
    )
    parser.add_argument(
        "--scores",
        action="store_true",
        help="compute zero-cost scores of the fully trained networks too, as studies.scores does, "
        "and show how they rank them",
    )
    arguments = parser.parse_args()
    with waiting("loading the statistics"):
        from studies.cli import open_store  # noqa: PLC0415 - seconds
        from studies.report.writing import write  # noqa: PLC0415 - seconds

    with closing(open_store(arguments)) as store, waiting("reading the study and drawing its page"):
        output = write(
            store,
            arguments.study,
            arguments.against,
            arguments.output,
            arguments.picture,
            scores=arguments.scores,
        )
    print(f"written   {output}; open it in a browser")  # noqa: T201
    return 0
