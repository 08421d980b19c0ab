"""A search as one HTML page, written to a file."""

import re
from pathlib import Path

from studies.analysis.facts import Facts
from studies.cli import CommandError
from studies.records.differences import differences
from studies.records.store import Store
from studies.report.page import front_alone, page
from studies.report.sections.ranking import Numbers
from trainers.files import write_whole


def write(
    store: Store,
    study: str | None,
    against: str | None = None,
    output: Path | None = None,
    picture: Path | None = None,
    *,
    scores: bool = False,
) -> Path:
    """Write a report.

    Args:
        store: the database.
        study: its name; None where there is only one.
        against: the name of another study, whose hypervolume is drawn too.
        output: the file; None derives its name from the study's.
        picture: a file for the front alone, as SVG.
        scores: whether to compute zero-cost scores, which need the images.

    Returns:
        The file.

    Raises:
        StoreError: there is no such study.
        CommandError: the two cannot be compared, or the files cannot be made.
        OSError: the files cannot be written.
    """
    facts = Facts.of(store, study)
    other = None if against is None else Facts.of(store, against)
    _comparable(facts, other)
    place = output or Path(f"{_plain(facts.study.name)}.html")
    if place.is_dir():
        raise CommandError(f"--output {place} is a folder: say a file, like report.html")
    if picture is not None and not facts.front:
        raise CommandError(f"study {facts.study.name} has no front to draw yet")
    numbers = _scores(facts) if scores else {}
    write_whole(place, page(facts, other, numbers).encode())
    if picture is not None:
        write_whole(picture, front_alone(facts).encode())
    return place


def _scores(facts: Facts) -> Numbers:
    """Zero-cost scores of the fully trained networks.

    Raises:
        CommandError: there are too few for a correlation.
    """
    # It imports torch, which takes seconds; a report without scores does not.
    from studies.analysis.scores import of, suffice  # noqa: PLC0415

    suffice(facts.study, facts.complete)
    return of(facts.complete, facts.study)


def _comparable(facts: Facts, against: Facts | None) -> None:
    """Raise CommandError unless two studies differ in nothing but the space."""
    if against is None:
        return
    mine, theirs = facts.study, against.study
    for what, how in differences(mine, theirs).items():
        if what != "space":
            raise CommandError(
                f"--against {theirs.name}: it has another {what} than {mine.name} ({how}), so the "
                "two cannot be compared"
            )


def _plain(name: str) -> str:
    """A study's name, changed so that it can be a file's name."""
    return re.sub(r"(?:[^\w.-]|\.{2,}|-)+", "-", name).strip(".-")[:100] or "report"
