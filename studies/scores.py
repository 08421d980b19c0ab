"""`python -m studies.scores`: what zero-cost scores would have said of a study's networks."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from nas_space.cli import Parser, console
from nas_space.network import build
from nas_space.skeletons import read_architecture
from studies.arguments import add_study_arguments
from studies.cli import CommandError, open_store, run
from studies.evidence import Evidence, weigh
from studies.fidelity import complete
from studies.images import searched
from studies.records import Evaluation, Status, Study
from studies.report.ranking import FEWEST
from trainers import devices
from trainers.batches import Batches
from trainers.data import SearchData
from trainers.scores import score, scores

_BATCH = 128


def main() -> int:
    """Print the correlations."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog="python -m studies.scores",
        description="Scores that need no training, computed for the networks that a study has "
        "trained to the end: do they rank them better than parameters and MACs (multiply-adds per "
        "image, the papers' FLOPs)?",
    )
    add_study_arguments(parser)
    parser.add_argument("--dataset", metavar="PATH", help="where the images are now, if they moved")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="keeps downloads")
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")
    arguments = parser.parse_args()
    store = open_store(arguments)
    study = store.study(arguments.study)
    evaluations = store.evaluations(study)
    known = [e for e in complete(evaluations, study) if e.status is Status.FINISHED]
    suffice(study, known)
    free = {
        "params": [float(entry.params) for entry in known],
        "macs": [float(entry.macs) for entry in known],
    }
    evidence = weigh(
        free | of(known, study, arguments.dataset, arguments.data_dir),
        [e.val_accuracy or 0 for e in known],
    )
    if arguments.json:
        print(json.dumps([asdict(row) | {"wins": row.wins} for row in evidence], indent=2))  # noqa: T201
        return 0
    console().print(_table(evidence))
    winners = [row.name for row in evidence if row.wins]
    verdict = f"{' and '.join(winners)} would have helped" if winners else "none would have helped"
    print(  # noqa: T201
        f"{verdict}: a score wins if its correlation is above the better of parameters and MACs "
        f"with 95 % confidence ({len(known)} networks, one seed each)"
    )
    return 0


def suffice(study: Study, known: Sequence[Evaluation]) -> None:
    """Raise CommandError where a study's fully trained networks are too few."""
    if len(known) < FEWEST:
        raise CommandError(
            f"study {study.name} has trained {len(known)} networks to the end; correlations of "
            f"fewer than {FEWEST} say nothing"
        )


def of(
    known: Sequence[Evaluation],
    study: Study,
    dataset: str | None = None,
    data_dir: Path | None = None,
) -> dict[str, list[float]]:
    """Every zero-cost score of trained networks, by name, on the study's training images.

    Args:
        known: evaluations of the study.
        study: whose.
        dataset: where its images are now, if they moved.
        data_dir: keeps downloads.
    """
    devices.spare_threads(min(study.dataset["shape"][1:]))
    data = searched(study, dataset, data_dir).search
    images, labels = _batch(data)
    return {
        name: [
            score(
                which,
                build(
                    read_architecture(entry.architecture),
                    data.shape[0],
                    len(data.classes),
                    seed=entry.seed,
                ),
                images,
                labels,
                seed=entry.seed,
            )
            for entry in known
        ]
        for name, which in scores().items()
    }


def _batch(data: SearchData) -> tuple[Tensor, Tensor]:
    """The first training images, normalised."""
    return next(Batches(data.train, data, torch.device("cpu")).plain(_BATCH))


def _table(evidence: Sequence[Evidence]) -> Table:
    drawn = Table(title="Rank correlation with validation accuracy", title_justify="left")
    for heading in ("number", "Spearman's rho", "95 %", "Kendall's tau", "without MACs, params"):
        drawn.add_column(heading, justify="left" if heading == "number" else "right")
    drawn.add_column("wins")
    for row in evidence:
        drawn.add_row(
            row.name,
            f"{row.rho:.2f}",
            f"{row.interval[0]:.2f} to {row.interval[1]:.2f}",
            f"{row.tau:.2f}",
            f"{row.partial:.2f}",
            "yes" if row.wins else "no",
        )
    return drawn


if __name__ == "__main__":
    raise SystemExit(main())
