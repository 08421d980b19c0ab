"""`python -m studies.export`: one network of a study in a folder, measured once on test."""

from studies.export.command import main

if __name__ == "__main__":
    raise SystemExit(main())
