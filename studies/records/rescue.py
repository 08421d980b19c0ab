"""The evaluations of a deleted or replaced SQLite file, saved by who has it open still."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from studies.records.database import Database, StoreError
from studies.records.pending_results import PendingResults, as_text
from studies.records.tables import Evaluation, Study, Weights


@dataclass(slots=True)
class Rescued:
    """What became of the evaluations of a lost file.

    Attributes:
        kept: how many wait in files, of each study.
        unkept: the others, see `as_text`: no file could be written.
        reason: why not.
    """

    kept: Counter[str] = field(default_factory=Counter)
    unkept: list[str] = field(default_factory=list)
    reason: str = ""


def rescue(database: Database) -> Rescued:
    """Keep all evaluations of a lost file, and the weights of the front, as pending results.

    The next search on each study writes them into the database that is then at the path. To do it
    twice does no harm.

    Raises:
        StoreError: the file cannot be read any more.
    """

    def work(session: Session) -> Rescued:
        found = Rescued()
        for study in session.scalars(select(Study)).all():
            pending = PendingResults.of(database.url, study.name)
            mine = select(Evaluation).where(Evaluation.study_id == study.id)
            for entry in session.scalars(mine.order_by(Evaluation.number)):
                weights = select(Weights.data).where(Weights.evaluation_id == entry.id)
                try:
                    pending.put(entry, session.scalar(weights))
                except StoreError as error:
                    found.unkept.append(as_text(entry))
                    found.reason = str(error)
                else:
                    found.kept[study.name] += 1
        return found

    return database.salvage(work)
