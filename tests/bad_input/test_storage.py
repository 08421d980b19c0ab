"""Storage URLs that lead nowhere: one clear line, without the password, and nothing is written."""

import os
from pathlib import Path
from urllib.parse import unquote

import pytest

from nas_space import cli
from searchers.ray.cluster import Cluster
from searchers.search import describe
from searchers.search import search as whole_search
from searchers.setup import set_up
from searchers.terminal.arguments import read
from studies import list as listing
from studies.export import command as export
from studies.pareto import command as pareto
from studies.records.database import parse_url
from studies.records.store import Store
from tests.refusals import SEARCH, Command, called, refusal, search

SECRET = "s3cr3t"  # noqa: S105 - the one that must not be seen

MALFORMED: list[tuple[str, str]] = [
    ("", "--storage must be an SQLAlchemy URL like sqlite:///convnas.db"),
    ("convnas.db", "--storage must be an SQLAlchemy URL"),
    ("://", "--storage must be an SQLAlchemy URL"),
    (f"me:{SECRET}@host/db", "--storage must be an SQLAlchemy URL"),
    (f"postgresql+psycopg//me:{SECRET}@host/db", "--storage must be an SQLAlchemy URL"),
    (f"postgresql+psycopg://me:{SECRET}@host:port/db", "--storage must be an SQLAlchemy URL"),
    (f"postgresql+psycopg://me:a@{SECRET}@host/db", "write one that belongs to the password as"),
    (f"postgresql+psycopg://me:a@b/{SECRET}@host/db", "write one that belongs to the password as"),
    (f"postgresql+psycopg://me:a@b:{SECRET}@host/db", "percent-encode the password if it has one"),
    (f"postgres://me:@:/#%{SECRET}@host/db", "percent-encode the password if it has one"),
    ("sqlite://", "would be lost"),
    ("sqlite:///:memory:", "would be lost"),
    ("sqlite:///file::memory:?uri=true", "an SQLite database takes no parameters"),
    ("sqlite:///file:x?mode=memory&uri=true", "an SQLite database takes no parameters"),
    ("sqlite:///x.db?timeout=abc", "an SQLite database takes no parameters"),
    (f"sqlite:///x.db?password={SECRET}", "an SQLite database takes no parameters"),
    ("sqlite:///a\nb.db", "--storage must be printable text"),
    ("sqlite:///a\0b.db", "--storage must be printable text"),
    ("sqlite:///a%00b.db", "--storage must be printable text"),
    ("sqlite:///\udcff.db", "--storage must be printable text"),
]
UNUSABLE: list[tuple[str, str]] = [
    (f"sqlite://me:{SECRET}@host/x.db", "Invalid SQLite URL"),
    ("sqlite:////proc/nowhere/x.db", "unable to open database file"),
    ("sqlite:////dev/null/x.db", "unable to open database file"),
    ("sqlite:///a-folder", "unable to open database file"),
    ("sqlite:///no/such/folder/x.db", "unable to open database file"),
    ("sqlite:///" + "x" * 300, "unable to open database file"),
    ("sqlite+nosuch:///x.db", "no driver for sqlite+nosuch:///x.db"),
    ("sqlite+aiosqlite:///x.db", "is asynchronous"),
    ("oracle9://x/y", "no driver for oracle9://x/y"),
    (f"mysql://me:{SECRET}@127.0.0.1/x", "no driver for mysql://me:***@127.0.0.1/x"),
    (f"mysql+mysqldb://me:{SECRET}@127.0.0.1/x", "No module named 'MySQLdb'"),
    (f"postgresql+psycopg2://me:{SECRET}@127.0.0.1/x", "No module named 'psycopg2'"),
    (f"postgresql+asyncpg://me:{SECRET}@127.0.0.1/x", "is asynchronous"),
    (f"postgresql+psycopg_async://me:{SECRET}@127.0.0.1:9/x", "is asynchronous"),
    (f"mssql+pyodbc:///?odbc_connect=PWD%3D{SECRET}", "no driver for mssql+pyodbc:///?odbc_con"),
    (f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/x", "Connection refused"),
    (f"postgresql+psycopg://me:a%40{SECRET}@127.0.0.1:9/x", "me:***@127.0.0.1:9/x"),
    (f"postgresql+psycopg://me:a/{SECRET}@127.0.0.1:9/x", "me:***@127.0.0.1:9/x"),
    (f"postgresql+psycopg://me:{SECRET}%00@127.0.0.1:9/x", "me:***@127.0.0.1:9/x"),
    (f"postgresql+psycopg://127.0.0.1:9/x?password={SECRET}", "/x?password=***"),
    (f"postgresql+psycopg://127.0.0.1:9/x?conninfo=password%3D{SECRET}", "/x?conninfo=***"),
    (f"postgresql+psycopg://127.0.0.1:9/x?user=me&sslpassword={SECRET}", "sslpassword=***&user=me"),
    (f"postgresql+psycopg://127.0.0.1:9/x?{SECRET}=1&a={SECRET}", "cannot use the database"),
    (f"postgresql+psycopg://127.0.0.1:9/x?gssencmode={SECRET}", 'invalid gssencmode value: "***"'),
    (f"postgres://me:{SECRET}@127.0.0.1:9/x", "postgresql+psycopg://me:***@127.0.0.1:9/x: conn"),
    (f"postgresql://me:{SECRET}@127.0.0.1:9/x", "postgresql+psycopg://me:***@127.0.0.1:9/x: conn"),
    ("sqlite:///~/no/such/x.db", "unable to open database file"),
    ("postgresql+psycopg://127.0.0.1:9/x?nosuch=1", 'invalid connection option "nosuch"'),
    ("postgresql+psycopg://127.0.0.1:99999/x", "invalid port number"),
    ("postgresql+psycopg://127.0.0.1:9/x?connect_timeout=soon", "bad value for connect_timeout"),
    ("postgresql+psycopg://nosuch.invalid/x", "failed to resolve host 'nosuch.invalid'"),
    ("postgresql+psycopg://a..b/x", "cannot use the database postgresql+psycopg://a..b/x"),
    ("postgresql+psycopg://" + "h" * 300 + "/x", "cannot use the database"),
]


def test_a_database_may_be_in_the_users_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    Store("sqlite:///~/mine.db", create=True).close()
    assert [path.name for path in here.iterdir()] == ["mine.db"]


@pytest.mark.parametrize("password", ["a:b", "a/b", "a#b", "a%b", "a?b", "a%40b%25"])
def test_a_password_with_odd_letters_is_read_as_it_is_typed(password: str) -> None:
    url = parse_url(f"postgres://me:{password}@host:5432/db")
    assert (url.drivername, url.host, url.port, url.database) == (
        "postgresql+psycopg",
        "host",
        5432,
        "db",
    )
    assert url.password == unquote(password)


def store(url: str) -> Command:
    """What a search does with its URL, but for starting Ray and training."""

    def run() -> int:
        Store(url, create=True).close()
        return 0

    return lambda: cli.run(run)


@pytest.mark.parametrize(("url", "reason"), MALFORMED + UNUSABLE, ids=lambda text: ascii(text)[:50])
def test_a_search_refuses_a_url_without_its_password(
    url: str, reason: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "a-folder").mkdir()
    said = refusal(store(url), capsys)
    assert reason in said
    assert f"={SECRET}" not in said
    assert SECRET not in said.replace(f"?{SECRET}=", "").replace(f"&{SECRET}=", "")
    assert [path.name for path in here.iterdir()] == ["a-folder"]


@pytest.mark.parametrize(("url", "reason"), MALFORMED, ids=lambda text: ascii(text)[:50])
def test_readers_refuse_a_malformed_url_as_a_search_does(
    url: str, reason: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    said = refusal(called(pareto.main, "--storage", url), capsys)
    assert reason in said
    assert SECRET not in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///none.db",
        "sqlite:///a-folder",
        "sqlite:///a-pipe",
        "sqlite:////dev/zero",
        "sqlite:////proc/self/mem",
        "sqlite:///..",
        "sqlite:///" + "x/" * 3000,
    ],
    ids=lambda url: url[:30],
)
def test_readers_make_no_database_and_read_no_pipe(
    url: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "a-folder").mkdir()
    os.mkfifo(here / "a-pipe")
    for run in (
        called(listing.main, "--storage", url),
        called(pareto.main, "--storage", url),
        called(export.main, "--storage", url, "--output", "o", "--knee"),
    ):
        refusal(run, capsys)
    assert {path.name for path in here.iterdir()} == {"a-folder", "a-pipe"}


def test_a_search_makes_no_database_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("a-pipe")
    assert "cannot use the database" in refusal(store("sqlite:///a-pipe"), capsys)


def test_the_whole_command_refuses_a_server_that_is_not_there(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    url = f"postgresql+psycopg://127.0.0.1:9/x?password={SECRET}"
    said = refusal(search("--storage", url), capsys)
    assert "?password=***: connection failed" in said
    assert SECRET not in said
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("space", {"name": "igc"}, "another space (name: 'igc', now 'mixed')"),
        ("dataset", {"fingerprint": "0"}, "another data set (fingerprint: '0', now"),
        ("recipe", {"epochs": 9}, "another recipe (epochs: 9, now 6)"),
    ],
)
def test_a_study_of_another_question_is_refused(
    part: str, changes: dict[str, object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Stored is what this very search would store, but for one part.
    settings = read([*SEARCH, "--study", "mine"])
    setup = set_up(settings)
    other = describe(settings, setup)
    setattr(other, part, getattr(other, part) | changes)
    opened = Store(settings.storage, create=True)
    opened.enter(other)
    opened.close()
    # It is refused before the cluster is asked for, so that need not run.
    cluster = Cluster(settings.cluster, verbose=False)

    def run() -> int:
        def ignore(_: object) -> None:
            """Nobody looks."""

        whole_search(settings, setup, cluster, ignore, ignore, ignore)
        return 0

    said = refusal(lambda: cli.run(run), capsys)
    assert f"study 'mine' has {reason}" in said
    assert "another --study name" in said
