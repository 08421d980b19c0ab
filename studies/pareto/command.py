"""`python -m studies.pareto`: the Pareto front of a study, as a table, JSON or CSV."""

from nas_space.cli import Parser, run
from nas_space.programs import program
from nas_space.waiting import waiting
from studies.arguments import add_study_arguments


def main() -> int:
    """Print the front."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.pareto"),
        description="The networks that no other beats in both validation accuracy and cost: MACs "
        "(multiply-adds per image, the papers' FLOPs), or what the search's --objective was.",
    )
    add_study_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON list, for programs")
    form.add_argument("--csv", action="store_true", help="comma-separated values")
    parser.add_argument(
        "--retrained",
        action="store_true",
        help=f"the front drawn anew from fresh seeds, see {program('studies.finalists')}",
    )
    arguments = parser.parse_args()
    with waiting("reading the study and learning from its trainings"):
        from studies.pareto.printing import show  # noqa: PLC0415 - a second

        return show(arguments)
