"""`python -m studies.report`: a search as one HTML page."""

from studies.report.command import main

if __name__ == "__main__":
    raise SystemExit(main())
