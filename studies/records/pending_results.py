"""Results that the database did not take, or has lost, kept in files until it takes them.

A finished training must not be lost. If the database stays away or full, the evaluation waits here,
and the next search on the study writes it first. If its file is deleted or replaced, all that it
held waits here, see `studies.records.rescue`.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy.engine import URL

from studies.records.database import StoreError
from studies.records.tables import Evaluation, Status
from studies.records.validation import validated
from trainers.files import write_whole

_FROM_THE_DATABASE = frozenset({"id", "study_id"})
_NO_NUMBER = 2**31 - 1
"""Of a result that was never recorded: after all others."""
Record = Callable[[Evaluation, Callable[[], bytes] | None], bool]
"""Writes an evaluation with its weights, see `studies.records.store.Store.record`."""


@dataclass(frozen=True, slots=True)
class PendingResults:
    """The results of one study that wait for its database.

    Attributes:
        folders: where they may be; the first that can be written is used.
    """

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, url: URL, study: str) -> Self:
        """The pending results of a study: in the current folder, or else in the user's cache."""
        database = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            database = str(Path(str(url.database)).resolve())
        digest = hashlib.sha256(f"{database}\0{study}".encode()).hexdigest()[:12]
        places = (Path.cwd(), Path("~/.cache/convnas").expanduser())
        return cls(tuple(place / f"convnas-unrecorded-{digest}" for place in places))

    @property
    def folder(self) -> Path:
        """The folder where results wait, or would wait."""
        return next((folder for folder in self.folders if folder.is_dir()), self.folders[0])

    def put(self, evaluation: Evaluation, weights: bytes | None) -> None:
        """Keep a result.

        Raises:
            StoreError: no folder can be written.
        """
        reasons = []
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._write(folder, evaluation, weights)
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror or error}")
            else:
                return
        raise StoreError(f"no file can be written ({'; '.join(reasons)})")

    def deliver(self, study_id: int, record: Record) -> int:
        """Write all results that wait into the database, and delete their files.

        Args:
            study_id: of the study.
            record: see `Record`.

        Returns:
            How many results were written.

        Raises:
            StoreError: the database did not take one, or a file cannot be read. Nothing is lost.
        """
        count = 0
        waiting = [(path, _read(path, study_id)) for path in self._waiting()]
        # They get their numbers again. Those that never had one follow, in the order in which they
        # ended; a clock may have been set meanwhile.
        for path, evaluation in sorted(waiting, key=_order):
            weights = path.with_suffix(".safetensors")
            count += record(evaluation, weights.read_bytes if weights.is_file() else None)
            path.unlink()
            weights.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other results still wait in it
                path.parent.rmdir()
        return count

    def _waiting(self) -> Iterator[Path]:
        for folder in self.folders:
            yield from sorted(folder.glob("*.json"))

    def _write(self, folder: Path, evaluation: Evaluation, weights: bytes | None) -> None:
        stem = folder / f"{evaluation.key}-{evaluation.epochs}"
        if weights is not None:
            write_whole(stem.with_suffix(".safetensors"), weights)
        # Last: a result counts once this file is there.
        write_whole(stem.with_suffix(".json"), as_text(evaluation, indent=1).encode())


def _order(found: tuple[Path, Evaluation]) -> tuple[int, datetime]:
    return found[1].number, found[1].created_at


def as_text(evaluation: Evaluation, indent: int | None = None) -> str:
    """A result as it waits in a file, without its weights; by default in one line."""
    return json.dumps(_as_json(evaluation), indent=indent)


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    names = {column.key for column in Evaluation.__mapper__.column_attrs} - _FROM_THE_DATABASE
    values = {name: getattr(evaluation, name) for name in sorted(names)}
    when: datetime = evaluation.created_at
    if when.tzinfo is None:  # SQLite forgets that it is UTC
        when = when.replace(tzinfo=UTC)
    return values | {"status": evaluation.status.value, "created_at": when.isoformat()}


def _read(path: Path, study_id: int) -> Evaluation:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        # The objective of all older searches was MACs.
        values.setdefault("cost", values["macs"])
        values["status"] = Status(values["status"])
        values["created_at"] = datetime.fromisoformat(values["created_at"])
        if values.get("number") is None:
            values["number"] = _NO_NUMBER
        return validated(Evaluation(study_id=study_id, **values), new=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path} holds a result that was not recorded, but cannot be read ({error}); "
            "mend it or move it away"
        ) from None
