"""The database, on real SQLite and PostgreSQL: what goes in comes out, and errors are one line."""

import gzip
import json
import math
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import studies
from nas_space.spaces.architecture import InvalidArchitectureError
from nas_space.spaces.registry import get, recorded
from studies.records import store as module
from studies.records.database import StoreError
from studies.records.store import Store
from studies.records.tables import Base, Export, Status
from studies.records.validation import InvalidRowError
from tests.examples import architecture, evaluation, study
from trainers.data.balance import Answers
from trainers.recipes import RECIPES

DATA = Path(__file__).parents[2] / "data"
MIGRATIONS = Path(studies.__file__).parent / "records" / "migrations"


def test_an_evaluation_comes_back_as_it_went_in(store: Store, url: str) -> None:
    owner = store.enter(study())
    store.record(evaluation(owner, 0, 0.75))
    store.record(evaluation(owner, 1, None))
    with closing(Store(url)) as again:
        finished, failed = again.evaluations(owner)
    assert finished.status is Status.FINISHED
    assert (finished.val_accuracy, finished.seed, finished.epochs) == (0.75, 0, 6)
    assert finished.architecture == evaluation(owner, 0, 0.75).architecture
    assert finished.created_at is not None
    assert failed.status is Status.FAILED
    assert (failed.val_accuracy, failed.error) == (None, "RuntimeError: out of memory")


ANSWERS = json.loads(json.dumps(Answers.of(np.r_[0, 1, 0, 0], np.r_[0, 0, 1, 0], 2).to_json()))


def test_answers_are_kept_and_older_rows_have_their_balanced_accuracy(store: Store) -> None:
    owner = store.enter(study())
    store.record(evaluation(owner, 0, 0.5, answers=ANSWERS))
    store.record(evaluation(owner, 1, 0.5, balanced_accuracy=0.25))
    store.record(evaluation(owner, 2, 0.5))
    known, older, oldest = store.evaluations(owner)
    assert known.parsed_answers == Answers.from_json(ANSWERS)
    assert (known.balanced, older.balanced, oldest.balanced) == (1 / 3, 0.25, None)
    assert (older.parsed_answers, oldest.parsed_answers) == (None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val_accuracy": math.nan}, "a row of nas_evaluations has nan as its val_accuracy"),
        ({"val_accuracy": 1.5}, "has 1.5 as its val_accuracy"),
        ({"val_accuracy": None, "status": Status.FINISHED}, "finished without a val_accuracy"),
        ({"cost": 0}, "has 0 as its cost"),
        ({"cost": math.nan}, "has nan as its cost"),
        ({"answers": {}}, "has {} as its answers"),
        ({"answers": ANSWERS | {"right": [4, 0]}}, "as its answers"),
        ({"answers": ANSWERS | {"images": [2, 1, 5]}}, "as its answers"),
        ({"answers": ANSWERS | {"mistakes": [[0, 2, 1]]}}, "as its answers"),
        ({"answers": ANSWERS | {"mistakes": [[0, 1]]}}, "as its answers"),
        ({"answers": ANSWERS | {"mistakes": 1}}, "as its answers"),
        ({"answers": {name: [] for name in ANSWERS}}, "as its answers"),
    ],
)
def test_a_row_that_nothing_could_read_is_refused_when_it_is_recorded(
    store: Store, changes: dict[str, Any], said: str
) -> None:
    owner = store.enter(study())
    assert Answers.from_json(ANSWERS).share == 0.5, "changed, they are wrong"
    bad = evaluation(owner, 0, 0.5, **changes)
    with pytest.raises(InvalidRowError, match=said):
        store.record(bad)
    assert store.evaluations(owner) == []
    assert store.record(evaluation(owner, 0, 0.5))


def test_the_same_failure_is_recorded_once(store: Store) -> None:
    owner = store.enter(study())
    assert store.record(evaluation(owner, 0, None))
    assert not store.record(evaluation(owner, 0, None))
    assert store.record(evaluation(owner, 0, 0.5)), "it has worked at last"
    assert len(store.evaluations(owner)) == 2


def test_studies_are_listed_with_their_counts(store: Store) -> None:
    first, second = store.enter(study("a")), store.enter(study("b"))
    for number, accuracy in enumerate((0.5, 0.6, None)):
        store.record(evaluation(first, number, accuracy))
    counts = [(found.name, done, bad) for found, done, bad in store.studies()]
    assert counts == [("a", 2, 1), ("b", 0, 0)]
    assert store.evaluations(second) == []


def test_entering_a_study_again_gives_the_stored_one(store: Store) -> None:
    assert store.enter(study()).id == store.enter(study()).id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"space": get("igc").to_json()}, r"another space \(kinds\); continue .* --space mixed,"),
        ({"recipe": {"name": "quick", "epochs": 7}}, r"another recipe \(epochs: 6, now 7\)"),
        ({"objective": "params"}, r"another objective \(objective: 'macs', now 'params'\)"),
        (
            {"dataset": {"name": "digits", "fingerprint": "g", "flip": False}},
            r"another data set \(fingerprint: 'f', now 'g'\); continue it with the same one, or",
        ),
        (
            {"dataset": {"name": "icons", "fingerprint": "g", "flip": False, "reading": {}}},
            r"continue it with the same one, by a convnas of before 2026-12 if more of its images",
        ),
    ],
)
def test_a_study_refuses_another_question(
    store: Store, changes: dict[str, Any], reason: str
) -> None:
    store.enter(study())
    with pytest.raises(StoreError, match=reason):
        store.enter(study(**changes))


@pytest.mark.parametrize(("stored", "asked"), [("mixed@1", "mixed"), ("mixed", "mixed@1")])
def test_a_study_of_another_version_of_its_space_says_how_to_go_on(
    store: Store, stored: str, asked: str
) -> None:
    kept = store.enter(study(space=get(stored).to_json()))
    with pytest.raises(StoreError, match=f"; continue it with --space {stored}, or give") as caught:
        store.enter(study(space=get(asked).to_json()))
    assert "\n" not in str(caught.value)
    assert store.enter(study(space=get(stored).to_json())).id == kept.id


def test_a_study_of_an_earlier_recipe_says_how_to_go_on(store: Store) -> None:
    earlier = RECIPES.get("quick@1").to_json() | {"name": "quick", "epochs": 9}
    kept = store.enter(study(recipe=earlier))
    with pytest.raises(StoreError, match="--recipe quick@1 --epochs 9 --study s, or give"):
        store.enter(study(recipe=RECIPES.get("quick").to_json() | {"epochs": 9}))
    assert store.enter(study(recipe=earlier | {"name": "quick@1"})).id == kept.id


def test_only_weights_of_the_front_are_kept(store: Store) -> None:
    owner = store.enter(study())
    entries = [
        evaluation(owner, 0, 0.5, macs=1000),
        evaluation(owner, 1, 0.4, macs=2000),  # dominated when it comes
        evaluation(owner, 2, 0.9, macs=5000),
        evaluation(owner, 3, 0.6, macs=900),  # pushes the first off the front
    ]
    for entry in entries:
        store.record(entry, f"weights {entry.number}".encode)
    kept = [store.weights(entry) for entry in entries]
    assert kept == [None, None, b"weights 2", b"weights 3"]
    owner = store.study(None)
    assert store.with_weights(owner) == {entry.id for entry in entries[2:]}
    below = evaluation(owner, entries[3].number + 6, (entries[3].val_accuracy or 0) - 0.02)
    below.cost = entries[3].cost + 1
    store.record(below, lambda: b"weights")
    assert below.id in store.with_weights(owner), "it may be better than its one training"


def test_an_evaluation_whose_weights_cannot_be_had_is_not_half_written(store: Store) -> None:
    owner = store.enter(study())

    def broken() -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        store.record(evaluation(owner, 0, 0.5), broken)
    assert store.evaluations(owner) == []


def test_several_drivers_on_one_study_lose_nothing_and_number_all(store: Store, url: str) -> None:
    owner = store.enter(study())

    def drive(driver: int) -> None:
        with closing(Store(url)) as mine:
            for number in range(10):
                mine.record(evaluation(owner, 10 * driver + number, driver / 4), lambda: b"weights")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(drive, range(4)))
    found = store.evaluations(owner)
    assert [entry.number for entry in found] == list(range(40))
    assert sorted(entry.val_accuracy or 0 for entry in found) == sorted([0, 0.25, 0.5, 0.75] * 10)


def test_a_reader_leaves_a_database_of_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "others.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no study in"):
        Store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_looks_at_the_test_split_are_remembered(store: Store) -> None:
    owner = store.enter(study())
    entry = evaluation(owner, 0, 0.5)
    store.record(entry)
    for seed in (1, 2):
        export = Export(
            evaluation_id=entry.id,
            retrained=True,
            recipe="full",
            epochs=3,
            seed=seed,
            val_accuracy=0.5,
            test_accuracy=0.4,
            weights="0" * 64,
        )
        store.record_export(export)
    assert [export.seed for export in store.exports(owner)] == [1, 2]


def test_the_migrations_make_the_tables_that_the_models_describe(store: Store, url: str) -> None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:

        def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
            return kind != "table" or str(name).startswith("nas_")

        def another(*types: object) -> bool | None:
            # MariaDB calls it LONGBLOB, which Alembic takes for another type.
            return False if isinstance(types[-1], sa.LargeBinary) else None

        options = {
            "version_table": "nas_alembic_version",
            "include_object": ours,
            "compare_type": another,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()
    assert store.studies() == []


def test_a_database_of_a_newer_release_is_refused(store: Store, url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE nas_alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert store.studies() == []
    for create in (False, True):
        with pytest.raises(StoreError, match="newer convnas: upgrade this one, or say") as caught:
            Store(url, create=create)
        assert "\n" not in str(caught.value)


def test_a_search_of_an_older_release_goes_on_while_a_newer_one_adds_columns(
    store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As migrations 8 to 11 did: columns that the older one does not know are empty in its rows."""
    owner = store.enter(study())
    store.record(evaluation(owner, 0, 0.5))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table in ("nas_evaluations", "nas_exports"):
            for column in ("balanced_accuracy", "answers"):
                connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(sa.text("ALTER TABLE nas_evaluations DROP COLUMN costs"))
        connection.execute(sa.text("ALTER TABLE nas_studies DROP COLUMN device"))
        connection.execute(sa.text("UPDATE nas_alembic_version SET version_num = '0007'"))
    known = sa.Table("nas_evaluations", sa.MetaData(), autoload_with=engine)
    capsys.readouterr()
    with closing(Store(url, create=True)) as newer:
        told = capsys.readouterr().err
        assert told == f"note: {store.shown_url} has new columns now: an older convnas refuses it\n"
        with engine.begin() as older:
            row = older.execute(sa.select(known)).one()._asdict()
            older.execute(known.insert().values(row | {"id": row["id"] + 1, "number": 1}))
        rows = newer.evaluations(owner)
    engine.dispose()
    assert [(row.number, row.val_accuracy, row.balanced) for row in rows] == [
        (0, 0.5, None),
        (1, 0.5, None),
    ]
    Store(url).close()
    assert capsys.readouterr().err == ""


def test_a_study_of_a_space_that_only_a_newer_release_has_says_who_goes_on(store: Store) -> None:
    newer = get("mixed").to_json() | {"kinds": ["hyper", "regular"]}
    store.enter(study(space=newer))
    with pytest.raises(StoreError, match="continue it with --plugin MODULE that has hyper, or "):
        store.enter(study(space=get("mixed").to_json()))


def test_a_network_that_only_a_newer_release_knows_is_one_line(store: Store) -> None:
    entry = evaluation(store.enter(study()), 7, 0.5)
    entry.architecture["stages"][0]["blocks"][0][0] = "hyper(N=2)"
    with pytest.raises(
        InvalidArchitectureError,
        match=r"trial 7 cannot be read \(unknown convolution type 'hyper'.*upgrade convnas if a n",
    ) as caught:
        _ = entry.parsed_architecture
    assert "\n" not in str(caught.value)


def test_a_study_is_found_by_name_or_by_being_the_only_one(store: Store) -> None:
    with pytest.raises(StoreError, match="no study in"):
        store.study(None)
    store.enter(study("a"))
    assert store.study(None).name == "a"
    store.enter(study("b"))
    assert store.study("b").name == "b"
    with pytest.raises(StoreError, match="several studies, say --study: a, b"):
        store.study(None)
    with pytest.raises(StoreError, match=r"no study 'c' in .*it holds: a, b"):
        store.study("c")


def test_sqlite_lets_readers_and_the_writer_work_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    writer = Store(f"sqlite:///{path}", create=True)
    owner = writer.enter(study())
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM nas_evaluations").fetchone() == (0,)
    writer.record(evaluation(owner, 0, 0.5))
    reader.close()
    assert len(writer.evaluations(owner)) == 1
    writer.close()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("", "must be an SQLAlchemy URL"),
        ("convnas.db", "must be an SQLAlchemy URL"),
        ("sqlite://", "would be lost"),
        ("sqlite:///:memory:", "would be lost"),
        ("nosuch://host/db", "no driver for"),
        ("sqlite:////proc/none/x.db", "cannot use the database"),
        ("postgresql+psycopg://u:secret@127.0.0.1:9/x", "cannot use the database"),
        ("mysql+nosuch://u:secret@127.0.0.1/x", "no driver for"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line_without_the_password(bad: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason) as caught:
        Store(bad, create=True)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which are not a database at all\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a database"):
        Store(f"sqlite:///{path}", create=True)
    assert path.read_bytes() == before


def test_a_reader_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(StoreError, match=r"no database at .*none\.db: run a search first"):
        Store(f"sqlite:///{path}")
    assert not path.exists()


@pytest.fixture
def old_database(tmp_path: Path) -> str:
    """A database that release 0.1.0 wrote: four evaluations, weights, Optuna's tables."""
    script = gzip.decompress((DATA / "schema-0001.sql.gz").read_bytes()).decode()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(script)
    return f"sqlite:///{tmp_path / 'old.db'}"


def test_a_database_of_an_older_release_is_brought_up_to_date_with_all_it_holds(
    old_database: str,
) -> None:
    with closing(Store(old_database)) as opened:
        owner = opened.study("small")
        found = opened.evaluations(owner)
        assert [round(entry.val_accuracy or 0, 3) for entry in found] == [
            0.164,
            0.156,
            0.276,
            0.192,
        ]
        assert [opened.weights(entry) is not None for entry in found] == [True, True, True, False]
        opened.record(evaluation(owner, 9, 0.9), lambda: b"weights")
    with closing(Store(old_database)) as again:
        assert again.count(owner) == 5


def test_a_study_of_the_first_mixed_goes_on_as_one_of_mixed_at_1(old_database: str) -> None:
    with closing(Store(old_database)) as opened:
        owner = opened.study("small")
        again = {
            "dataset": owner.dataset,
            "recipe": owner.recipe,
            "objective": owner.objective,
            "objective_device": owner.objective_device,
        }
        assert recorded(owner.space) == get("mixed@1")
        assert opened.enter(study("small", space=get("mixed@1").to_json(), **again)).id == owner.id
        with pytest.raises(StoreError, match="continue it with --space mixed@1, or"):
            opened.enter(study("small", space=get("mixed").to_json(), **again))


_AS_OF_OLD: dict[str, dict[str, Any]] = {
    "nas_studies": {
        "id": 1,
        "name": "old",
        "space": {"name": "mixed"},
        "dataset": study().dataset,
        "recipe": {"name": "quick", "epochs": 6},
        "command": "searched",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    },
    "nas_evaluations": {
        "id": 1,
        "study_id": 1,
        "number": 0,
        "key": "k",
        "architecture": architecture(1).to_json(),
        "space": "mixed",
        "seed": 0,
        "recipe": "quick",
        "epochs": 6,
        "params": 10,
        "macs": 1234,
        "val_accuracy": 0.5,
        "status": "finished",
        "versions": {},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    },
}
"""Rows of the first schema."""


def test_a_schema_that_grows_keeps_what_is_there(url: str) -> None:
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for name, row in _AS_OF_OLD.items():
            json = {column: isinstance(value, dict) for column, value in row.items()}
            place = sa.table(name, *(sa.column(c, sa.JSON if j else None) for c, j in json.items()))
            connection.execute(sa.insert(place).values(**row))
    engine.dispose()
    with closing(Store(url)) as opened:
        old = opened.study("old")
        assert (old.dataset, old.objective) == (study().dataset, "macs")
        (entry,) = opened.evaluations(old)
        assert (entry.macs, entry.cost, entry.start) == (1234, 1234.0, 0)


def test_searches_may_make_the_tables_at_once(url: str) -> None:
    code = (
        "import sys; from studies.records.store import Store; from tests.examples import study\n"
        "Store(sys.argv[1], create=True).enter(study(sys.argv[2]))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url, name]) for name in ("a", "b", "a", "c")
    ]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    with closing(Store(url)) as opened:
        assert sorted(found.name for found, _, _ in opened.studies()) == ["a", "b", "c"]


def test_a_partial_training_keeps_its_checkpoint_until_it_has_gone_on(
    store: Store,
) -> None:
    owner = store.enter(study())
    store.record(evaluation(owner, 1, 0.4, epochs=1), checkpoint=b"after one")
    assert store.checkpoint(owner, architecture(1).key, 1) == b"after one"
    assert store.checkpoint(owner, architecture(1).key, 2) is None
    store.record(evaluation(owner, 1, 0.5, epochs=2, start=1), checkpoint=b"after two")
    assert store.checkpoint(owner, architecture(1).key, 1) is None
    assert store.checkpoint(owner, architecture(1).key, 2) == b"after two"
    store.record(evaluation(owner, 1, 0.6, start=2), lambda: b"weights")
    assert store.checkpoint(owner, architecture(1).key, 2) is None
    assert [row.trained for row in store.evaluations(owner)] == [1, 1, 4]


def test_of_each_rung_the_checkpoints_of_the_best_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = store.enter(study())
    monkeypatch.setattr(module, "_MOST_CHECKPOINTS", 2)
    for number, accuracy in enumerate((0.3, 0.2, 0.5, 0.1)):
        store.record(
            evaluation(owner, number, accuracy, epochs=1, macs=1000 + number),
            checkpoint=b"%d" % number,
        )
    kept = [store.checkpoint(owner, architecture(number).key, 1) for number in range(4)]
    assert kept == [b"0", None, b"2", None]
