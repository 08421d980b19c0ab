"""`python -m studies.rescue`: saves what can be read of a damaged SQLite database."""

import shlex
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL

from nas_space.cli import Parser, expanded
from nas_space.programs import program
from studies.arguments import add_storage_argument
from studies.cli import CommandError, run
from studies.records.damaged import Saved, copy_readable
from studies.records.database import parse_url
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.records.tables import Checkpoint, Evaluation, Export, Retraining, Study, Weights

_NAMES = {
    Study: "studies",
    Evaluation: "evaluations",
    Weights: "networks' weights",
    Checkpoint: "checkpoints",
    Export: "exports",
    Retraining: "trainings of finalists",
}


def main() -> int:
    """Save what can be read."""
    return run(_main)


def _main() -> int:
    parser = Parser(
        prog=program("studies.rescue"),
        description="Copy what can be read of a damaged SQLite database into a new one. The "
        "damaged file is left as it is.",
    )
    add_storage_argument(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=expanded,
        help="the new database (default: beside the damaged one, NAME-rescued.db)",
    )
    arguments = parser.parse_args()
    url = parse_url(arguments.storage)
    if url.get_backend_name() != "sqlite":
        raise CommandError("only an SQLite file can be rescued: a server has tools of its own")
    damaged = Path(str(url.database))
    if not damaged.is_file():
        raise CommandError(f"no database at {damaged}")
    output: Path = arguments.output or damaged.with_name(f"{damaged.stem}-rescued.db")
    if output.exists():
        raise CommandError(f"{output} is there already: move it away, or say another --output")
    try:
        saved = _saved(damaged, output)
    except BaseException:
        for part in output.parent.glob(f"{output.name}*"):
            part.unlink()
        raise
    waited = _delivered(url, output)
    for table in saved:
        if table.rows or table.lost:
            print(_told(table))  # noqa: T201
    if waited:
        print(f"{waited} results that waited in files")  # noqa: T201
    where = shlex.quote(f"sqlite:///{output}")
    print(f"go on with the same command and --storage {where}")  # noqa: T201
    return 0


def _saved(damaged: Path, output: Path) -> list[Saved]:
    with closing(Store(f"sqlite:///{output}", create=True)) as new:
        saved = copy_readable(damaged, new, output)
    kept = {table.table: table for table in saved}
    if not kept[Study].rows or (kept[Evaluation].lost and not kept[Evaluation].rows):
        raise CommandError(
            f"no study or no evaluation of {damaged} can be read: take a copy of the file from "
            f"before, or see what SQLite's own program finds: sqlite3 {damaged} .recover"
        )
    return saved


def _delivered(url: URL, output: Path) -> int:
    """Record the results that the damaged database did not take; how many."""
    with closing(Store(f"sqlite:///{output}")) as new:
        return sum(
            PendingResults.of(url, study.name).deliver(study.id, new.record)
            for study, _, _ in new.studies()
        )


def _told(saved: Saved) -> str:
    sure = saved.table in {Study, Evaluation} or not saved.lost
    most = "" if sure else "at most "
    return f"{_NAMES[saved.table]}: {saved.rows} of {most}{saved.rows + saved.lost}"


if __name__ == "__main__":
    raise SystemExit(main())
