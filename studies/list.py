"""`python -m studies.list`: the studies in a database."""

import json

from nas_space.cli import Parser, console
from nas_space.programs import program
from nas_space.tables import Column, Fitted
from studies.arguments import add_storage_argument
from studies.cli import open_store, run


def main() -> int:
    """Print the studies."""
    return run(_main)


def _main() -> int:
    parser = Parser(prog=program("studies.list"), description="The studies in a database.")
    add_storage_argument(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")
    arguments = parser.parse_args()
    store = open_store(arguments)
    rows = [
        {
            "study": study.name,
            "space": study.space["name"],
            "objective": study.objective,
            "dataset": study.dataset["name"],
            "recipe": study.recipe["name"],
            "epochs": study.recipe["epochs"],
            "finished": finished,
            "failed": failed,
            "front": len(store.front(study)),
        }
        for study, finished, failed in store.studies()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))  # noqa: T201
    elif rows:
        columns = [Column(name, left=isinstance(value, str)) for name, value in rows[0].items()]
        console().print(Fitted(columns, [list(map(str, row.values())) for row in rows]))
    else:
        print("no studies yet")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
