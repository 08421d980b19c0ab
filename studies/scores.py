"""`python -m studies.scores`: how well zero-cost scores rank a study's networks."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nas_space.cli import Parser, console, expanded, run
from nas_space.programs import program
from nas_space.tables import Column, Fitted
from nas_space.waiting import waiting
from studies.arguments import add_study_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from studies.analysis.rank_correlation import RankCorrelation


def main() -> int:
    """Print the correlations."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.scores"),
        description="Scores that need no training, computed for the networks that a study has "
        "trained to the end: do they rank them better than parameters and MACs (multiply-adds per "
        "image, the papers' FLOPs)?",
    )
    add_study_arguments(parser)
    parser.add_argument("--dataset", metavar="PATH", help="where the images are now, if they moved")
    parser.add_argument("--data-dir", type=expanded, metavar="DIR", help="keeps downloads")
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")
    arguments = parser.parse_args()
    with waiting("loading torch"):
        from studies.analysis.rank_correlation import baselines, rank_correlations  # noqa: PLC0415
        from studies.analysis.scores import of, suffice  # noqa: PLC0415
        from studies.cli import open_store  # noqa: PLC0415
        from studies.objective import metric_of  # noqa: PLC0415
        from studies.records.fidelity import complete  # noqa: PLC0415
        from studies.records.tables import Status  # noqa: PLC0415

    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    known = [e for e in complete(evaluations, study) if e.status is Status.FINISHED]
    suffice(study, known)
    with waiting(f"scoring {len(known):,} networks"):
        correlations = rank_correlations(
            baselines(known) | of(known, study, arguments.dataset, arguments.data_dir),
            [e.val_accuracy or 0 for e in known],
        )
    if arguments.json:
        print(json.dumps([asdict(row) | {"wins": row.wins} for row in correlations], indent=2))  # noqa: T201
        return 0
    console().print(_table(correlations, metric_of(study).name))
    winners = [row.name for row in correlations if row.wins]
    verdict = f"{' and '.join(winners)} would have helped" if winners else "none would have helped"
    print(  # noqa: T201
        f"{verdict}: a score wins if its correlation is above the better of parameters and MACs "
        f"with 95 % confidence ({len(known)} networks, one seed each)"
    )
    return 0


def _table(correlations: "Sequence[RankCorrelation]", metric: str) -> Fitted:
    numbers = ("Spearman's rho", "95 %", "Kendall's tau", "without MACs, params")
    columns = (Column("number", left=True), *map(Column, numbers), Column("wins", left=True))
    title = f"Rank correlation with validation {metric}"
    return Fitted(columns, [row.texts for row in correlations], title)


if __name__ == "__main__":
    raise SystemExit(main())
