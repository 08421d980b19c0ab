"""`python -m studies.pareto`: the Pareto front of a study, as a table, JSON or CSV."""

from studies.pareto.command import main

if __name__ == "__main__":
    raise SystemExit(main())
