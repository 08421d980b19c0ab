"""Results that a database did not take wait in files, and come back whole."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from studies.records.database import StoreError
from studies.records.pending_results import PendingResults
from studies.records.store import Store
from studies.records.tables import Evaluation
from tests.examples import evaluation, study

COLUMNS = {column.key for column in Evaluation.__mapper__.column_attrs} - {"id", "number"}


@pytest.fixture
def pending(tmp_path: Path) -> PendingResults:
    return PendingResults((tmp_path / "one", tmp_path / "two"))


def test_a_result_comes_back_as_it_was_and_leaves_no_file(
    pending: PendingResults, store: Store
) -> None:
    owner = store.enter(study())
    finished, failed = evaluation(owner, 1, 0.5), evaluation(owner, 2, None)
    expected = {e.key: {name: getattr(e, name) for name in COLUMNS} for e in (finished, failed)}
    pending.put(finished, b"weights")
    pending.put(failed, None)
    assert pending.deliver(owner.id, store.record) == 2
    rows = store.evaluations(owner)
    times = {row.key: row.created_at for row in rows}
    for row in rows:
        found = {name: getattr(row, name) for name in COLUMNS - {"created_at"}}
        assert found == {k: v for k, v in expected[row.key].items() if k != "created_at"}
        assert times[row.key].date() == expected[row.key]["created_at"].date()
    kept = {row.key: store.weights(row) for row in rows}
    assert kept == {finished.key: b"weights", failed.key: None}
    assert not pending.folder.exists()
    assert pending.deliver(owner.id, store.record) == 0


def test_what_the_database_still_refuses_stays(pending: PendingResults, store: Store) -> None:
    owner = store.enter(study())
    pending.put(evaluation(owner, 1, 0.5), b"weights")

    def refuse(_: Evaluation, __: Callable[[], bytes] | None) -> bool:
        raise StoreError("still away")

    with pytest.raises(StoreError, match="still away"):
        pending.deliver(owner.id, refuse)
    assert pending.deliver(owner.id, store.record) == 1


def test_the_second_folder_takes_what_the_first_does_not(tmp_path: Path, store: Store) -> None:
    owner = store.enter(study())
    (tmp_path / "file").write_text("in the way")
    box = PendingResults((tmp_path / "file" / "x", tmp_path / "two"))
    box.put(evaluation(owner, 1, 0.5), b"weights")
    assert box.folder == tmp_path / "two"
    assert box.deliver(owner.id, store.record) == 1
    closed = PendingResults((tmp_path / "file" / "x",))
    with pytest.raises(StoreError, match=r"no file can be written .*Not a directory"):
        closed.put(evaluation(owner, 2, 0.5), None)


def test_a_damaged_file_is_named_and_left_alone(pending: PendingResults, store: Store) -> None:
    owner = store.enter(study())
    pending.put(evaluation(owner, 1, 0.5), None)
    (path,) = pending.folder.iterdir()
    path.write_text("{}")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        pending.deliver(owner.id, store.record)
    assert str(path) in str(caught.value)
    assert path.exists()


@pytest.mark.parametrize("change", [{"val_accuracy": 7}, {"macs": "x"}, {"status": "running"}])
def test_a_result_that_no_search_has_written_is_refused(
    change: dict[str, object], pending: PendingResults, store: Store
) -> None:
    owner = store.enter(study())
    pending.put(evaluation(owner, 1, 0.5), None)
    (path,) = pending.folder.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match="cannot be read"):
        pending.deliver(owner.id, store.record)
    assert store.evaluations(owner) == []


def test_each_study_of_each_database_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = ["sqlite:///a.db", "sqlite:///b.db", "postgresql+psycopg://u:p@h/d"]
    boxes = {PendingResults.of(make_url(url), name) for url in urls for name in "xy"}
    assert len(boxes) == 6
    absolute = f"sqlite:///{tmp_path / 'a.db'}"
    assert PendingResults.of(make_url(absolute), "x") in boxes, (
        "the same file, whatever the spelling"
    )
    assert all(box.folders[0].parent == tmp_path for box in boxes)
