"""The evaluations of a deleted or replaced SQLite file, saved by who has it open still."""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session

from studies.records.database import Database
from studies.records.pending_results import PendingResults
from studies.records.tables import Evaluation, Study, Weights


def rescue(database: Database) -> Counter[str]:
    """Keep all evaluations of a lost file, and the weights of the front, as pending results.

    The next search on each study writes them into the database that is then at the path. To do it
    twice does no harm.

    Returns:
        How many evaluations are kept of each study.

    Raises:
        StoreError: the file cannot be read any more, or no folder can be written.
    """

    def work(session: Session) -> Counter[str]:
        kept: Counter[str] = Counter()
        for study in session.scalars(select(Study)).all():
            pending = PendingResults.of(database.url, study.name)
            mine = select(Evaluation).where(Evaluation.study_id == study.id)
            for entry in session.scalars(mine.order_by(Evaluation.number)):
                weights = select(Weights.data).where(Weights.evaluation_id == entry.id)
                pending.put(entry, session.scalar(weights))
                kept[study.name] += 1
        return kept

    return database.salvage(work)
