"""Databases that are cut off, damaged, foreign or hostile: one line, and nothing follows them."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nas_space import cli
from studies import list as listing
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.store import Store
from tests.examples import evaluation, study
from tests.refusals import called, refusal

DATABASE = Path("convnas.db")
READERS = {
    "list": called(listing.main),
    "pareto": called(pareto.main),
    "json": called(pareto.main, "--json"),
    "csv": called(pareto.main, "--csv"),
    "export": called(export.main, "--knee", "--output", "o"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database as a search leaves it: a study with two finished evaluations and a failed one."""
    path = tmp_path_factory.mktemp("sound") / "convnas.db"
    store = Store(f"sqlite:///{path}", create=True)
    owner = store.enter(study("one"))
    for number, accuracy in enumerate((0.9, None, 0.95)):
        store.record(evaluation(owner, number, accuracy), lambda: b"weights")
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return path.read_bytes()


def change(sound: bytes, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Put the database here, after these statements."""
    DATABASE.write_bytes(sound)
    with closing(sqlite3.connect(DATABASE)) as connection:
        for statement in statements:
            connection.execute(statement, values)
        connection.commit()


def refused(capsys: pytest.CaptureFixture[str], *readers: str) -> Iterator[str]:
    """What readers, by default all, say to the database here."""
    for reader in readers or READERS:
        yield refusal(READERS[reader], capsys)
        assert not Path("o").exists()


# The first 100 bytes are SQLite's header, pages are of 4096.
@pytest.mark.parametrize("length", [0, 1, 16, 99, 100, 512, 4095, 4096, 4097, 8192, 20_000, 40_000])
def test_a_database_that_was_cut_off(
    length: int, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert length < len(sound)
    DATABASE.write_bytes(sound[:length])
    for said in refused(capsys):
        assert "convnas.db" in said


@pytest.mark.parametrize("seed", range(12))
def test_a_database_with_flipped_bytes_is_read_or_refused(
    seed: int, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)
    damaged = bytearray(sound)
    for _ in range(30):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    DATABASE.write_bytes(damaged)
    for reader in READERS.values():
        code = reader()
        printed = capsys.readouterr()
        assert (code, printed.err.count("\n")) in {(0, 0), (2, 1)}, printed.err


@pytest.mark.parametrize("text", ["not a database " * 100, "{}", "PK\x03\x04", "SQLite format 3\0"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    DATABASE.write_text(text)
    for said in refused(capsys):
        assert "not a database" in said
    assert "not a database" in refusal(entering, capsys)
    assert DATABASE.read_text() == text


def entering() -> int:
    """What a search does with a database before it starts anything."""

    def enter() -> int:
        with closing(Store("sqlite:///convnas.db", create=True)) as store:
            store.evaluations(store.enter(study("one")))
        return 0

    return cli.run(enter)


FOREIGN = {
    "a table of that name": ["DROP TABLE nas_studies", "CREATE TABLE nas_studies (id, name)"],
    "a view instead": [
        "DROP TABLE nas_evaluations",
        "CREATE VIEW nas_evaluations AS SELECT 1 AS id, 1 AS study_id",
    ],
    "no studies": ["DROP TABLE nas_studies"],
    "no evaluations": ["DROP TABLE nas_evaluations"],
    "a newer version": ["UPDATE nas_alembic_version SET version_num = '9999'"],
    "a version that is code": ["UPDATE nas_alembic_version SET version_num = ''';DROP TABLE x'"],
    "an empty version": ["UPDATE nas_alembic_version SET version_num = ''"],
    "half a version": ["UPDATE nas_alembic_version SET version_num = '00'"],
    "a version that names all": ["UPDATE nas_alembic_version SET version_num = 'head'"],
    "two versions": ["INSERT INTO nas_alembic_version VALUES ('0000')"],
    "versions of another form": [
        "DROP TABLE nas_alembic_version",
        "CREATE TABLE nas_alembic_version (x)",
    ],
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
def test_tables_that_are_not_ours(
    statements: list[str], sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    change(sound, *statements)
    before = DATABASE.read_bytes()
    for said in refused(capsys):
        assert "convnas.db" in said
    refusal(entering, capsys)
    assert tables(DATABASE.read_bytes()) == tables(before)


def tables(database: bytes) -> list[tuple[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        # A copy in memory cannot be in the mode that a search switches files to.
        connection.deserialize(database[:18] + b"\x01\x01" + database[20:])
        return connection.execute("SELECT sql FROM sqlite_master").fetchall()


def test_another_programs_tables_are_no_study_and_are_left_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("CREATE TABLE nas_studies (id INTEGER, name TEXT)")
        connection.execute("CREATE TABLE studies (study_id, study_name)")
        connection.commit()
    before = DATABASE.read_bytes()
    for said in refused(capsys):
        assert "no study in sqlite:///convnas.db yet" in said
    assert DATABASE.read_bytes() == before
    assert "table nas_studies already exists" in refusal(entering, capsys)
    assert tables(DATABASE.read_bytes()) == tables(before)


DEEP = "[" * 100_000
NAMES = [b"\xff", "\x1b]0;mine\x07", "a\0b", "two\nlines", "\u202eenin"]
STUDIES: list[tuple[str, object]] = [
    ("command", b"\0"),
    ("space", "no JSON"),
    ("space", "null"),
    ("space", "[]"),
    ("space", '{"name": 3}'),
    ("space", DEEP),
    ("recipe", "7"),
    ("recipe", '{"name": "quick", "epochs": true}'),
    ("recipe", '{"name": "quick", "epochs": -1}'),
    ("dataset", b"\xff\xfe"),
    ("dataset", "{}"),
    ("dataset", '{"name": "digits"}'),
    ("created_at", "yesterday"),
    ("created_at", "9999-99-99 00:00:00"),
    ("created_at", 5),
]
DATASETS: list[tuple[str, object]] = [
    ("name", None),
    ("name", "\x1b[2J"),
    ("fingerprint", 5),
    ("image_size", "8"),
    ("image_size", -8),
    ("image_size", True),
    ("image_size", 8.5),
    ("subset", 0),
    ("flip", 1),
    ("data_dir", ["here"]),
    ("shape", [1, 8]),
    ("shape", [1, 8, 0]),
    ("shape", "183"),
    ("shape", [1, 8, float("inf")]),
]
EVALUATIONS: list[tuple[str, object]] = [
    ("number", "x"),
    ("number", -1),
    ("key", b"\xff"),
    ("key", "\x1b[2J"),
    ("architecture", "no JSON"),
    ("architecture", "null"),
    ("architecture", "[]"),
    ("architecture", DEEP),
    ("seed", -1),
    ("seed", "x"),
    ("recipe", b"x"),
    ("epochs", 0),
    ("params", "many"),
    ("params", -5),
    ("macs", 0),
    ("macs", 1.5),
    ("macs", "many"),
    ("macs", float("inf")),
    ("val_accuracy", "good"),
    ("val_accuracy", 2),
    ("val_accuracy", -1),
    ("val_accuracy", float("inf")),
    ("val_accuracy", b"\0"),
    ("val_accuracy", None),
    ("seconds", "long"),
    ("seconds", float("inf")),
    ("status", "paused"),
    ("status", b"x"),
    ("versions", "no JSON"),
    ("created_at", "x"),
    ("error", b"x"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_study_whose_name_would_spoil_a_table(
    name: object, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    change(sound, "UPDATE nas_studies SET name = ?", values=(name,))
    for said in refused(capsys):
        assert f"a row of nas_studies has {name!r} as its name" in said


@pytest.mark.parametrize(("column", "value"), STUDIES, ids=lambda value: ascii(value)[:30])
def test_a_study_that_no_search_wrote(
    column: str, value: object, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    change(sound, f"UPDATE nas_studies SET {column} = ?", values=(value,))  # noqa: S608 - ours
    for said in refused(capsys):
        assert "is damaged, or not from convnas" in said
        assert "restore a copy of it, or say another --storage" in said
    refusal(entering, capsys)


@pytest.mark.parametrize(("field", "value"), DATASETS, ids=lambda value: ascii(value)[:30])
def test_a_study_whose_data_set_no_search_wrote(
    field: str, value: object, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = json.dumps(study().dataset | {field: value})
    change(sound, "UPDATE nas_studies SET dataset = ?", values=(changed,))
    for said in refused(capsys):
        assert f"as its dataset.{field}" in said


@pytest.mark.parametrize(("column", "value"), EVALUATIONS, ids=lambda value: ascii(value)[:30])
def test_an_evaluation_that_no_search_wrote(
    column: str, value: object, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = f"UPDATE nas_evaluations SET {column} = ? WHERE number = 2"  # noqa: S608 - ours
    change(sound, statement, values=(value,))
    for said in refused(capsys):
        assert "is damaged, or not from convnas" in said
    refusal(entering, capsys)


ARCHITECTURES = {
    "empty": "{}",
    "of a later format": '{"format": 2, "skeleton": "residual", "stem": "regular", "stages": []}',
    "code as a label": json.dumps(
        {
            "format": 1,
            "skeleton": "residual",
            "stem": "__import__('os').system('touch hacked')",
            "stages": [{"width": 16, "blocks": [["regular", "regular"]]}],
        }
    ),
    "of terabytes": json.dumps(
        {
            "format": 1,
            "skeleton": "residual",
            "stem": "regular",
            "stages": [{"width": 8192, "blocks": [["regular", "regular"]] * 256}] * 8,
        }
    ),
}


@pytest.mark.parametrize("text", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_architecture_that_cannot_be_built(
    text: str, sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    change(sound, "UPDATE nas_evaluations SET architecture = ?", values=(text,))
    for _ in refused(capsys, "pareto", "csv", "export"):
        assert not Path("hacked").exists()


def test_what_a_stranger_wrote_stays_one_line(
    sound: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    change(sound, "UPDATE nas_evaluations SET error = 'two' || char(10, 27) || '[2Jlines'")
    said = refusal(called(export.main, "--trial", "1", "--output", "o"), capsys)
    assert "trial 1 failed: two\\n\\x1b[2Jlines" in said
